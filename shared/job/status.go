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
// It is looked up in every record that is decoded, so it comes by value and
// takes nothing of the heap. What is left over is empty; an unknown kind has none.
func words(k Kind) (list [maxWords]word) {
	switch k {
	case KindBatch:
		return [maxWords]word{
			{"idle", PhaseEnded, OutcomeSucceeded},
			{"queued", PhaseWaiting, ""},
			{"running", PhaseRunning, ""},
		}
	case KindScraping:
		return [maxWords]word{
			{"waiting-to-be-scheduled", PhaseWaiting, ""},
			{"scheduled", PhaseWaiting, ""},
			{"started", PhaseRunning, ""},
			{"failed", PhaseEnded, OutcomeFailed},
			{"finished", PhaseEnded, OutcomeSucceeded},
			{"shelved", PhaseEnded, OutcomeSucceeded},
			{"stopped", PhaseEnded, OutcomeStopped},
		}
	case KindPipeline:
		return [maxWords]word{
			{"pending", PhaseWaiting, ""},
			{"active", PhaseRunning, ""},
			{"paused", PhaseRunning, ""},
			{"resumed", PhaseRunning, ""},
			{"completed", PhaseEnded, OutcomeSucceeded},
			{"failed", PhaseEnded, OutcomeFailed},
			{"stopped", PhaseEnded, OutcomeStopped},
		}
	case KindAsync:
		return [maxWords]word{
			{"pending", PhaseWaiting, ""},
			{"processing", PhaseRunning, ""},
			{"success", PhaseEnded, OutcomeSucceeded},
			{"error", PhaseEnded, OutcomeFailed},
		}
	}
	return list
}

// maxWords is how many words a kind has at most.
const maxWords = 7

func wordOf(k Kind, s Status) (word, bool) {
	for _, w := range words(k) {
		if w.status == s {
			return w, s != ""
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
	for _, w := range words(k) {
		if w.status != "" {
			list = append(list, w.status)
		}
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
