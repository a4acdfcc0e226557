package job

// word is one row of the status table: what a status word of a kind means.
type word struct {
	status  Status
	phase   Phase
	outcome Outcome
}

// words is the table of all status words. A batch's "idle" is the one word
// with two meanings: before its first run the batch waits, afterwards the
// last run has ended (see Job.Phase). A shelved scraping job went to its end
// with some failed or empty pages; its data is there, so it counts as succeeded.
//
// It is looked up in every record that is decoded, so it comes by value: n words
// without a place in the heap. An unknown kind has none.
func words(k Kind) (list [maxWords]word, n int) {
	switch k {
	case KindBatch:
		return table(
			word{"idle", PhaseEnded, OutcomeSucceeded},
			word{"queued", PhaseWaiting, ""},
			word{"running", PhaseRunning, ""},
		)
	case KindScraping:
		return table(
			word{"waiting-to-be-scheduled", PhaseWaiting, ""},
			word{"scheduled", PhaseWaiting, ""},
			word{"started", PhaseRunning, ""},
			word{"failed", PhaseEnded, OutcomeFailed},
			word{"finished", PhaseEnded, OutcomeSucceeded},
			word{"shelved", PhaseEnded, OutcomeSucceeded},
			word{"stopped", PhaseEnded, OutcomeStopped},
		)
	case KindPipeline:
		return table(
			word{"pending", PhaseWaiting, ""},
			word{"active", PhaseRunning, ""},
			word{"paused", PhaseRunning, ""},
			word{"resumed", PhaseRunning, ""},
			word{"completed", PhaseEnded, OutcomeSucceeded},
			word{"failed", PhaseEnded, OutcomeFailed},
			word{"stopped", PhaseEnded, OutcomeStopped},
		)
	case KindAsync:
		return table(
			word{"pending", PhaseWaiting, ""},
			word{"processing", PhaseRunning, ""},
			word{"success", PhaseEnded, OutcomeSucceeded},
			word{"error", PhaseEnded, OutcomeFailed},
		)
	}
	return list, 0
}

// maxWords is how many words a kind has at most.
const maxWords = 7

func table(words ...word) (list [maxWords]word, n int) { return list, copy(list[:], words) }

func wordOf(k Kind, s Status) (word, bool) {
	list, n := words(k)
	for _, w := range list[:n] {
		if w.status == s {
			return w, true
		}
	}
	return word{}, false
}

func isWord(k Kind, s Status) bool {
	_, ok := wordOf(k, s)
	return ok
}

func wordList(k Kind) []string {
	var list []string
	for _, s := range Statuses(k) {
		list = append(list, string(s))
	}
	return list
}

// Statuses returns the status words of a kind; nil for an unknown kind.
func Statuses(k Kind) []Status {
	var list []Status
	all, n := words(k)
	for _, w := range all[:n] {
		list = append(list, w.status)
	}
	return list
}

// Phase tells where the job's current run stands.
func (j Job) Phase() Phase {
	if j.idleUncounted() {
		return PhaseWaiting
	}
	w, _ := wordOf(j.Kind, j.Status)
	return w.phase
}

// Outcome tells how the current run ended; it is empty while it has not.
func (j Job) Outcome() Outcome {
	if j.Phase() != PhaseEnded {
		return ""
	}
	w, _ := wordOf(j.Kind, j.Status)
	return w.outcome
}

// DeriveScraping gives the status of a scraping job whose platform writes page
// counts only: failed when more than half of the executed pages failed,
// otherwise finished, or shelved when some pages failed or were empty. A run
// has ended when as many pages were executed as were scheduled.
func DeriveScraping(scheduled, executed, failed, empty int) Status {
	switch {
	case executed == 0 && scheduled == 0:
		return "waiting-to-be-scheduled"
	case executed == 0:
		return "scheduled"
	case executed < scheduled:
		return "started"
	case 2*failed > executed:
		return "failed"
	case failed+empty > 0:
		return "shelved"
	}
	return "finished"
}
