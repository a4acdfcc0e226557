package webhook

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
)

// ErasureState tells how far an erasure is.
type ErasureState string

// The states of an erasure. None is cancelled: half of an account is of no use.
const (
	ErasureRunning ErasureState = "running"
	ErasureDone    ErasureState = "done"
)

// ErasureStage is what sweep erases at the moment, in the order of Turn.
type ErasureStage string

// The stages of an erasure. All but the last two come twice: after the pause of
// StageSettle they find what was still on its way the first time.
const (
	StageAccess ErasureStage = "access" // the account's row, keys, links into the portal and endpoints
	StageJobs   ErasureStage = "jobs"   // job records, with all that is of each job
	StageEvents ErasureStage = "events" // events and deliveries of jobs that have no record any more
	StageRest   ErasureStage = "rest"   // all else that names the account
	StageSettle ErasureStage = "settle" // nothing until SettledAt
	StagePurge  ErasureStage = "purge"  // what the store keeps of rows that are gone
)

// Thing is a kind of what is erased.
type Thing string

// The things that are counted. Each of the account's rows, items or files is
// one of them.
const (
	ErasedAccounts    Thing = "accounts"
	ErasedAnswers     Thing = "answers" // of requests with an Idempotency-Key
	ErasedAttempts    Thing = "attempts"
	ErasedChanges     Thing = "changes" // of jobs, that nobody had dispatched
	ErasedDeliveries  Thing = "deliveries"
	ErasedDownloads   Thing = "downloads"
	ErasedEndpoints   Thing = "endpoints"
	ErasedEvents      Thing = "events"
	ErasedFiles       Thing = "files"
	ErasedJobs        Thing = "jobs"
	ErasedKeys        Thing = "keys"
	ErasedNotices     Thing = "notices" // of endpoints' health, that were not told yet
	ErasedPortalLinks Thing = "portal_links"
	ErasedResends     Thing = "resends"
	ErasedResultSets  Thing = "result_sets"
	ErasedStats       Thing = "statistics" // hours of an endpoint
)

// Erased counts what was erased. What is not there is none.
type Erased map[Thing]int

// Plus is the sum of two counts, which stay as they are.
func (e Erased) Plus(more Erased) Erased {
	sum := Erased{}
	for _, counts := range []Erased{e, more} {
		for thing, n := range counts {
			if n > 0 {
				sum[thing] += n
			}
		}
	}
	return sum
}

// Erasure removes an account, or what an account has of one subject, for good.
// Sweep advances it step by step. When it is done it is the receipt, which
// stays for ever.
type Erasure struct {
	ID          string // ers_ and 26 characters that sort by time of creation
	Account     string
	Subject     string // the attribute subject of the jobs that go; "": the whole account. Forgotten before the end.
	SubjectHash string // see HashSubject; "": the whole account
	State       ErasureState
	Stage       ErasureStage
	Again       bool      // the second time through the stages
	Cursor      string    // the store's, within the stage
	JobHashes   []string  // of jobs whose files go before anything else does, see files.JobHash
	Counted     bool      // Counts has the files of JobHashes
	SettledAt   time.Time // the end of StageSettle
	Counts      Erased
	RequestedBy string // a key's id
	RequestedAt time.Time
	UpdatedAt   time.Time
	DoneAt      time.Time
	Version     int    // 1; each change adds one
	Digest      string // of the receipt, see Receipt; "" until it is done
}

// NewErasure begins an erasure. With an empty subject it is that of the account.
func NewErasure(id, account, subject, key string, now time.Time) Erasure {
	now = now.UTC().Truncate(time.Millisecond) // as the receipt says it
	e := Erasure{
		ID: id, Account: account, Subject: subject, State: ErasureRunning, Stage: StageAccess, Counts: Erased{},
		RequestedBy: key, RequestedAt: now, UpdatedAt: now, Version: 1,
	}
	if subject != "" {
		e.SubjectHash, e.Stage = HashSubject(subject), StageJobs
	}
	return e
}

// Folders are where the files of JobHashes lie.
func (e Erasure) Folders() []string {
	var list []string
	for _, hash := range e.JobHashes {
		list = append(list, files.Results+hash+"/", files.Records+hash+"/", files.Inputs+hash+"/")
	}
	return list
}

// OfAccount tells whether the whole account goes.
func (e Erasure) OfAccount() bool { return e.SubjectHash == "" }

// Wants tells whether a job goes, by its record or a snapshot of it. Of an
// account every job does, also one that cannot be read.
func (e Erasure) Wants(record []byte) bool {
	return e.OfAccount() || e.Subject != "" && job.Subject(record) == e.Subject
}

// Waits tells whether there is nothing to do yet: the pause of StageSettle.
func (e Erasure) Waits(now time.Time) bool {
	return e.Stage == StageSettle && len(e.JobHashes) == 0 && now.Before(e.SettledAt)
}

// Turn goes on to the next stage. The pause after the first time through lasts
// for settle. An erasure whose data is gone forgets its subject, before the
// store is asked to forget what rows were.
func (e Erasure) Turn(now time.Time, settle time.Duration) Erasure {
	e.Cursor, e.UpdatedAt, e.Version = "", now, e.Version+1
	switch {
	case e.Stage == StageAccess:
		e.Stage = StageJobs
	case e.Stage == StageJobs:
		e.Stage = StageEvents
	case e.Stage == StageEvents:
		e.Stage = StageRest
	case e.Stage == StageRest && !e.Again:
		e.Stage, e.Again, e.SettledAt = StageSettle, true, now.Add(settle)
	case e.Stage == StageRest:
		e.Stage, e.Subject = StagePurge, ""
	case e.Stage == StageSettle && e.OfAccount():
		e.Stage = StageAccess
	case e.Stage == StageSettle:
		e.Stage = StageJobs
	}
	return e
}

// Done is the erasure at its end, with its digest.
func (e Erasure) Done(now time.Time) Erasure {
	now = now.UTC().Truncate(time.Millisecond)
	e.State, e.Stage, e.Cursor, e.UpdatedAt, e.DoneAt, e.Version = ErasureDone, "", "", now, now, e.Version+1
	sum := sha256.Sum256(e.Receipt())
	e.Digest = hex.EncodeToString(sum[:])
	return e
}

// Receipt says what was erased, as canonical JSON (RFC 8785): of members whose
// names sort, without spaces. It holds nothing personal.
func (e Erasure) Receipt() []byte {
	receipt := map[string]any{
		"id": e.ID, "account": e.Account, "state": e.State, "counts": e.Counts.Plus(nil), "requested_by": e.RequestedBy,
		"requested_at": receiptTime(e.RequestedAt), "done_at": receiptTime(e.DoneAt),
	}
	if e.SubjectHash != "" {
		receipt["subject_hash"] = e.SubjectHash
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(receipt) // texts and numbers always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// receiptTime writes a time as the API does.
func receiptTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// The parts of a subject's hash: PBKDF2 (RFC 8018) with HMAC-SHA-256. So many
// rounds make guessing dear, and take a tenth of a second once.
const (
	subjectHash   = "pbkdf2-sha256"
	subjectRounds = 200_000
	subjectSalt   = 16 // bytes
	subjectKey    = 32 // bytes
)

// MaxSubjectBytes bounds a subject.
const MaxSubjectBytes = 256

// HashSubject returns a hash with a salt of its own, as
// pbkdf2-sha256$rounds$salt$hash, the last two in hexadecimal digits. Whoever
// knows the subject can verify it; nobody reads the subject from it, though one
// that is easily guessed can be guessed.
func HashSubject(subject string) string {
	salt := make([]byte, subjectSalt)
	_, _ = rand.Read(salt) // never fails
	return hashSubject(subject, subjectRounds, salt)
}

func hashSubject(subject string, rounds int, salt []byte) string {
	sum, err := pbkdf2.Key(sha256.New, subject, salt, rounds, subjectKey)
	if err != nil {
		return "" // only where the standard library is told to refuse salts as short as ours
	}
	return fmt.Sprintf("%s$%d$%s$%s", subjectHash, rounds, hex.EncodeToString(salt), hex.EncodeToString(sum))
}

// IsSubject tells whether a hash is that of a subject.
func IsSubject(hash, subject string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != subjectHash {
		return false
	}
	rounds, err := strconv.Atoi(parts[1])
	if err != nil || rounds < 1 || rounds > 10*subjectRounds {
		return false
	}
	salt, err := hex.DecodeString(parts[2])
	return err == nil && subtle.ConstantTimeCompare([]byte(hashSubject(subject, rounds, salt)), []byte(hash)) == 1
}
