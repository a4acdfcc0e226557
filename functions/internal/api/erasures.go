package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// ErasureStore keeps erasures.
type ErasureStore interface {
	PutErasure(ctx context.Context, e webhook.Erasure) error
	Erasure(ctx context.Context, id string) (webhook.Erasure, error)
	// Erasures returns a page, the newest first, and the cursor of the next, ""
	// at the end.
	Erasures(ctx context.Context, after string, limit int) (list []webhook.Erasure, next string, err error)
	// RunningErasures returns those that are not done, the oldest first.
	RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error)
}

// So many run at a time, of accounts and of subjects, each with room of their
// own: together as many as one run of erase.Eraser goes through.
const (
	maxAccountErasures = 100
	maxSubjectErasures = webhook.MaxPage - maxAccountErasures
)

// erasuresRead is how many are read, to have all of them: requests at the same
// moment may let a few more run.
const erasuresRead = 2 * webhook.MaxPage

type createErasureInput struct {
	Body struct {
		Account string `json:"account" maxLength:"256" doc:"Whose data goes."`
		Subject string `json:"subject,omitempty" maxLength:"256" doc:"Of the account, only the jobs whose attribute subject is this go, with all that is of them. Up to 256 bytes."`
	}
}

type erasurePath struct {
	ID string `path:"id"`
}

// erasureView is the receipt, once it is done: what of webhook.Erasure.Receipt
// the digest is over, and the digest.
type erasureView struct {
	ID          string               `json:"id"`
	Account     string               `json:"account"`
	SubjectHash string               `json:"subject_hash,omitempty" doc:"pbkdf2-sha256$rounds$salt$hash, the last two in hexadecimal digits: PBKDF2 with HMAC-SHA-256 of the subject. Whoever knows the subject can verify it."`
	State       webhook.ErasureState `json:"state" enum:"running,done"`
	Counts      map[string]int       `json:"counts" doc:"What was erased so far, by kind. What is not named was not there."`
	RequestedBy string               `json:"requested_by" doc:"The id of a key."`
	RequestedAt string               `json:"requested_at" format:"date-time"`
	DoneAt      string               `json:"done_at,omitempty" format:"date-time"`
	Digest      string               `json:"digest,omitempty" doc:"SHA-256, in hexadecimal digits, of this object without its digest, as canonical JSON (RFC 8785)."`
}

func (a *API) addErasures() {
	platform := scopes(webhook.ScopePlatform)
	register(a, operation{id: "create-erasure", method: "POST", path: "/v1/erasures", tag: "Erasures", status: http.StatusAccepted,
		summary: "Erase an account, or what it has of one subject, for good",
		details: "Jobs, events, deliveries, attempts, results and their files go; of an account, everything else too, its keys first. " +
			"It takes a little more than an hour, as it looks twice, so that what was on its way goes too. " +
			"Until it is done, writes of an account that is being erased answer 409. It cannot be cancelled; poll it. What it answers at the end is the receipt, which stays. " +
			"Where the platform keeps a table of jobs of its own, delete them there first: Jobhook never writes that table, and would be told of what changes in it."},
		platform, a.createErasure)
	register(a, operation{id: "list-erasures", method: "GET", path: "/v1/erasures", tag: "Erasures", status: 200,
		summary: "List erasures and receipts, newest first"}, platform, a.listErasures)
	register(a, operation{id: "get-erasure", method: "GET", path: "/v1/erasures/{id}", tag: "Erasures", status: 200,
		summary: "Read how far an erasure is, or its receipt"}, platform, a.getErasure)
}

func (a *API) createErasure(ctx context.Context, in *createErasureInput) (*result[erasureView], error) {
	account, subject := in.Body.Account, in.Body.Subject
	if err := job.CheckID("account", account); err != nil {
		return nil, err
	}
	if len(subject) > webhook.MaxSubjectBytes {
		return nil, invalid("subject", fmt.Sprintf("it has %d bytes", len(subject)), "no job has a subject of more than 256 bytes")
	}
	e, err := a.beginErasure(ctx, account, subject)
	if err != nil {
		return nil, err
	}
	if e.OfAccount() {
		a.erasing.add(e)
		a.endKeys(ctx, account)
	}
	return &result[erasureView]{Body: viewErasure(e)}, nil
}

// beginErasure puts an erasure unless it is running. Of two equal requests at
// once, whichever processes have them, one is the first to make the claim.
func (a *API) beginErasure(ctx context.Context, account, subject string) (webhook.Erasure, error) {
	now := a.Now()
	claim := erasureClaim(account, subject, now)
	_, first, err := a.Store.BeginOnce(ctx, claim)
	if err != nil {
		return webhook.Erasure{}, err
	}
	if !first {
		return webhook.Erasure{}, conflict("erasure-running", "The same is asked for at this very moment; ask again to see whether it was taken.")
	}
	defer a.forgetOnce(ctx, claim)
	if err := a.checkErasures(ctx, account, subject); err != nil {
		return webhook.Erasure{}, err
	}
	e := webhook.NewErasure(newErasureID(now), account, subject, callerOf(ctx).key, now)
	return e, a.Store.PutErasure(ctx, e)
}

// erasureClaim keeps equal requests out until it is forgotten or, where the
// process dies first, over. Of the subject it holds 8 bits of a hash, since what
// a store has forgotten may still stand in its file: of other subjects of the
// account, one in 256 is kept out too.
func erasureClaim(account, subject string, now time.Time) webhook.Once {
	of := "account"
	if subject != "" {
		of = digest(subject)[:2]
	}
	now = now.UTC()
	return webhook.Once{ID: digest("erasure", account, of), StartedAt: now, ExpiresAt: now.Add(onceAbandoned)}
}

// newErasureID returns an id that sorts by time and cannot be guessed.
func newErasureID(now time.Time) string {
	return "ers_" + webhook.TimePrefix(now) + strings.ToLower(rand.Text()[:16])
}

func (a *API) checkErasures(ctx context.Context, account, subject string) error {
	running, err := a.Store.RunningErasures(ctx, erasuresRead)
	if err != nil {
		return err
	}
	alike, most, what := 0, maxAccountErasures, "accounts"
	if subject != "" {
		most, what = maxSubjectErasures, "subjects"
	}
	for _, e := range running {
		if e.Account == account && (e.OfAccount() || subject != "" && e.Subject == subject) {
			return conflict("erasure-running", "This is being erased already, by "+e.ID+".")
		}
		if e.OfAccount() == (subject == "") {
			alike++
		}
	}
	if alike >= most {
		return conflict("too-many-erasures", fmt.Sprintf("%d erasures of %s are running; wait for the end of one.", alike, what))
	}
	return nil
}

// endKeys lets nobody in by the account's keys from now on. Those that it does
// not get to end with the first step of the erasure.
func (a *API) endKeys(ctx context.Context, account string) {
	keys, err := a.Store.Keys(ctx, account)
	for _, k := range keys {
		if err == nil {
			err = a.revoke(ctx, account, k.ID)
		}
	}
	if err != nil {
		a.Log.WarnContext(ctx, "keys.not_revoked", "account", account, "error", err)
	}
}

func (a *API) listErasures(ctx context.Context, in *Paging) (*result[page[erasureView]], error) {
	list, next, err := a.Store.Erasures(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(list, viewErasure, next), nil
}

func (a *API) getErasure(ctx context.Context, in *erasurePath) (*result[erasureView], error) {
	e, err := a.Store.Erasure(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &result[erasureView]{Body: viewErasure(e)}, nil
}

func viewErasure(e webhook.Erasure) erasureView {
	counts := map[string]int{}
	for thing, n := range e.Counts {
		counts[string(thing)] = n
	}
	return erasureView{
		ID: e.ID, Account: e.Account, SubjectHash: e.SubjectHash, State: e.State, Counts: counts, RequestedBy: e.RequestedBy,
		RequestedAt: stamp(e.RequestedAt), DoneAt: stamp(e.DoneAt), Digest: e.Digest,
	}
}
