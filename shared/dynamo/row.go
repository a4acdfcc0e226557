package dynamo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of a delivery's row, besides those of its event.
const (
	attrEndpoint   = "ep"
	attrURL        = "url"
	attrFormat     = "fmt"
	attrState      = "state"
	attrReason     = "reason"
	attrGeneration = "gen"
	attrAttempts   = "tries"
	attrPostponed  = "postponed"
	attrNext       = "next"
	attrDue        = "due"
	attrLease      = "lease"
	attrDeadline   = "deadline"
	attrStatus     = "status"
	attrFailure    = "failure"
	attrCreated    = "created"
	attrUpdated    = "updated"
	attrDelivered  = "delivered"
	attrExpires    = "expires"
	attrFence      = "fence" // what a writer must have read

	attrDueShard = "due_shard" // of the sparse index: parked and held rows only
	attrDueAt    = "due_at"
)

// inlinePrefix begins the names of attributes that hold successful attempts.
const inlinePrefix = "att_"

// attrLate marks an attempt after another had already decided.
const attrLate = "late"

// fence is what decides whether a row is as it was read.
func fence(d webhook.Delivery) string {
	return fmt.Sprintf("%d.%d.%d.%s.%d", d.Generation, d.Attempts, d.Postponed, d.State, micros(d.LeaseUntil))
}

// usualRow is about how many attributes the row of a delivery has that succeeded.
const usualRow = 24

// immutable are the attributes of a row that never change.
func immutable(k key, d webhook.Delivery) item {
	return k.itemFor(usualRow).text(attrType, string(d.EventType)).text(attrKind, string(d.Kind)).text(attrJob, d.JobID).int(attrRun, d.Run).
		text(attrSequence, d.Sequence).text(attrEndpoint, d.Target.Endpoint).text(attrURL, d.Target.URL).
		text(attrFormat, d.Target.Format).time(attrCreated, d.CreatedAt)
}

// mutable adds the attributes that change. Mutables lists their names.
func (i item) mutable(d webhook.Delivery) item {
	i.text(attrState, string(d.State)).text(attrReason, d.Reason).int(attrGeneration, d.Generation).int(attrAttempts, d.Attempts).
		int(attrPostponed, d.Postponed).time(attrNext, d.NextAt).time(attrDue, d.DueAt).time(attrLease, d.LeaseUntil).
		time(attrDeadline, d.Deadline).int(attrStatus, d.LastStatus).text(attrFailure, d.LastFailure).
		time(attrUpdated, d.UpdatedAt).time(attrDelivered, d.DeliveredAt).time(attrExpires, d.ExpiresAt).text(attrFence, fence(d))
	if shard, at := park(d); shard != "" {
		i.text(attrDueShard, shard).text(attrDueAt, at)
	}
	if d.ExpiresAt.IsZero() {
		return i
	}
	// As long as its event, whose plan would else speak for it again; readers
	// see sooner that it is gone.
	return i.ttl(d.ExpiresAt.Add(keepUnsent))
}

func mutables() []string {
	return []string{
		attrState, attrReason, attrGeneration, attrAttempts, attrPostponed, attrNext, attrDue, attrLease, attrDeadline,
		attrStatus, attrFailure, attrUpdated, attrDelivered, attrExpires, attrFence, attrDueShard, attrDueAt, attrTTL,
	}
}

func decodeRow(account string, i item) webhook.Delivery {
	sk := i.getText(attrSK)
	return webhook.Delivery{
		ID: deliveryID + sk, Account: account, EventID: eventID + sk[:eventChars], EventType: webhook.EventType(i.getText(attrType)),
		Kind: job.Kind(i.getText(attrKind)), JobID: i.getText(attrJob), Run: i.getInt(attrRun), Sequence: i.getText(attrSequence),
		Target: webhook.Target{Endpoint: i.getText(attrEndpoint), URL: i.getText(attrURL), Format: i.getText(attrFormat)},
		State:  webhook.State(i.getText(attrState)), Reason: i.getText(attrReason), Generation: i.getInt(attrGeneration),
		Attempts: i.getInt(attrAttempts), Postponed: i.getInt(attrPostponed), NextAt: i.getTime(attrNext), DueAt: i.getTime(attrDue),
		LeaseUntil: i.getTime(attrLease), Deadline: i.getTime(attrDeadline), LastStatus: i.getInt(attrStatus),
		LastFailure: i.getText(attrFailure), CreatedAt: i.getTime(attrCreated), UpdatedAt: i.getTime(attrUpdated),
		DeliveredAt: i.getTime(attrDelivered), ExpiresAt: i.getTime(attrExpires),
	}
}

// Shards of the sparse index. A due row is in one by its id; held rows of one
// endpoint are together, so that an endpoint can be released or passed over.
const (
	dueShards  = 8
	duePrefix  = "due#"
	heldPrefix = "held#"
)

// park tells where the row stands in the sparse index: by its time if it is
// due, else by its endpoint if it is held until that is released.
func park(d webhook.Delivery) (shard, at string) {
	switch {
	case !d.DueAt.IsZero():
		return duePrefix + shardIn(dueShards, d.ID), sortable(d.DueAt) + " " + d.Account + " " + d.ID
	case d.State == webhook.StateHeld:
		return heldShard(d.Account, d.Target.Endpoint), heldBy(d.Account, d.Target.Endpoint) + sortable(d.CreatedAt) + " " + d.ID
	}
	return "", ""
}

func heldShard(account, endpoint string) string {
	return heldPrefix + shardIn(dueShards, account+" "+endpoint)
}

// heldBy begins the index keys of an endpoint's held rows. No id has a space.
func heldBy(account, endpoint string) string { return account + " " + endpoint + " " }

func shardIn(n uint32, text string) string {
	h := fnv.New32a()
	_, _ = io.WriteString(h, text) // a hash takes everything
	return strconv.Itoa(int(h.Sum32() % n))
}

// aged is the row as it is at a time: what has ended is gone when it expires,
// and what has not ended ends then. False means that it is gone.
func aged(d webhook.Delivery, now time.Time) (webhook.Delivery, bool) {
	if d.ExpiresAt.IsZero() || d.ExpiresAt.After(now) {
		return d, true
	}
	if d.State.Final() || !d.ExpiresAt.Add(keepUnsent).After(now) {
		return webhook.Delivery{}, false
	}
	return expired(d), true
}

// expired is the end of a delivery that expired before it ended.
func expired(d webhook.Delivery) webhook.Delivery {
	d.Reason = "expired before it could be delivered"
	switch {
	case !d.DeliveredAt.IsZero():
		d.State, d.Reason = webhook.StateDelivered, "delivered before; the resend expired"
	case d.NeverSent():
		d.State = webhook.StateDeclined
	default:
		d.State = webhook.StateDead
	}
	d.NextAt, d.DueAt, d.LeaseUntil = time.Time{}, time.Time{}, time.Time{}
	d.UpdatedAt, d.ExpiresAt = d.ExpiresAt, d.ExpiresAt.Add(keepUnsent)
	return d
}

// attemptRow is an attempt as it is stored. Durations are in microseconds.
type attemptRow struct {
	Generation int                 `json:"gen"`
	URL        string              `json:"url,omitempty"` // empty: the row's
	Status     int                 `json:"status,omitempty"`
	Failure    string              `json:"failure,omitempty"`
	Code       string              `json:"code,omitempty"`
	Detail     string              `json:"detail,omitempty"`
	RetryAfter int64               `json:"retry_after,omitempty"`
	Header     map[string][]string `json:"header,omitempty"`
	Text       string              `json:"text,omitempty"` // the body, if it is text
	Body       []byte              `json:"body,omitempty"` // if it is not
	Timing     [5]int64            `json:"timing"`
	State      string              `json:"state"`
	Reason     string              `json:"reason,omitempty"`
}

func attemptRowOf(a webhook.Attempt) attemptRow {
	r := attemptRow{
		Generation: a.Generation, URL: a.URL, Status: a.Result.Status, Failure: string(a.Result.Failure), Code: a.Result.Code,
		Detail: a.Result.Detail, RetryAfter: a.Result.RetryAfter.Microseconds(), Header: a.Result.Header,
		State: string(a.State), Reason: a.Reason,
	}
	for i, d := range []time.Duration{a.Timing.DNS, a.Timing.Connect, a.Timing.TLS, a.Timing.FirstByte, a.Timing.Total} {
		r.Timing[i] = d.Microseconds()
	}
	if utf8.Valid(a.Result.Body) {
		r.Text = string(a.Result.Body)
	} else {
		r.Body = a.Result.Body
	}
	return r
}

func (r attemptRow) attempt(ref webhook.Ref, at time.Time, late bool) webhook.Attempt {
	a := webhook.Attempt{
		Account: ref.Account, Delivery: ref.ID, Generation: r.Generation, At: at, URL: r.URL, Late: late,
		State: webhook.State(r.State), Reason: r.Reason,
		Result: webhook.Result{
			Status: r.Status, Failure: webhook.Failure(r.Failure), Code: r.Code, Detail: r.Detail,
			RetryAfter: micro(r.RetryAfter), Header: r.Header, Body: r.Body,
		},
		Timing: webhook.Timing{
			DNS: micro(r.Timing[0]), Connect: micro(r.Timing[1]), TLS: micro(r.Timing[2]),
			FirstByte: micro(r.Timing[3]), Total: micro(r.Timing[4]),
		},
	}
	if r.Text != "" {
		a.Result.Body = []byte(r.Text)
	}
	return a
}

func micro(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// inlineAttempts are the successful attempts that a row holds.
func inlineAttempts(ref webhook.Ref, i item) (list []webhook.Attempt, err error) {
	for name := range i {
		digits, ok := strings.CutPrefix(name, inlinePrefix)
		if !ok {
			continue
		}
		at, _ := strconv.Atoi(digits) // we wrote it
		var r attemptRow
		if err := json.Unmarshal([]byte(i.getText(name)), &r); err != nil {
			return nil, fmt.Errorf("attempt %s: %w", name, err)
		}
		if r.URL == "" {
			r.URL = i.getText(attrURL)
		}
		list = append(list, r.attempt(ref, fromMicros(at), false))
	}
	return list, nil
}
