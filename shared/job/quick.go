package job

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// decodeQuickly reads core and attributes of a valid record member by member,
// which takes half the time that encoding/json needs. It reports false
// for anything out of the ordinary: Decode then looks again, and says what.
func decodeQuickly(record []byte) (Job, bool) {
	switch likelyKind(record) {
	case KindBatch:
		return decodeAs(record, KindBatch, &Batch{})
	case KindScraping:
		return decodeAs(record, KindScraping, &Scraping{})
	case KindAsync:
		return decodeAs(record, KindAsync, &Async{})
	}
	return Job{}, false // a pipeline needs more than its types
}

// fields is a pointer to the attributes of a kind.
type fields interface {
	base() *core
	slot(name []byte) slot // nil for an attribute of the platform's own
}

func decodeAs(record []byte, k Kind, a fields) (Job, bool) {
	var room [usualMembers]Member
	list, ok := appendMembers(room[:0], record)
	if !ok {
		return Job{}, false
	}
	for _, m := range list {
		to := slotOf(a, m.Name)
		if to == nil && foldsToKnown(a, m.Name) {
			return Job{}, false
		}
		if to != nil && string(m.Value) != "null" && !to(m.Value) {
			return Job{}, false
		}
	}
	if a.base().Kind != k {
		return Job{}, false
	}
	j := a.base().job(record)
	j.attributes = a
	return j, true
}

func slotOf(a fields, name []byte) slot {
	if to := a.base().slot(name); to != nil {
		return to
	}
	return a.slot(name)
}

// foldsToKnown tells whether encoding/json, which ignores the case of keys,
// might take this one for an attribute that we know.
func foldsToKnown(a fields, name []byte) bool {
	upper := false
	for _, c := range name {
		if c >= utf8.RuneSelf { // some of these fold to a letter
			return true
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	return upper && slotOf(a, bytes.ToLower(name)) != nil
}

func (c *core) slot(name []byte) slot {
	switch string(name) {
	case "account":
		return textSlot(&c.Account)
	case "kind":
		return textSlot(&c.Kind)
	case "id":
		return textSlot(&c.ID)
	case "status":
		return textSlot(&c.Status)
	case "run":
		return intSlot(&c.Run)
	case "created_at":
		return c.CreatedAt.slot
	}
	return nil
}

func (b *Batch) slot(name []byte) slot {
	switch string(name) {
	case "name":
		return textSlot(&b.Name)
	case "started_at":
		return b.StartedAt.slot
	case "ended_at":
		return b.EndedAt.slot
	case "searches_total":
		return intSlot(&b.SearchesTotal)
	case "searches_completed":
		return intSlot(&b.SearchesCompleted)
	case "searches_failed":
		return intSlot(&b.SearchesFailed)
	case "notification_webhook":
		return textSlot(&b.NotificationWebhook)
	case "notification_as_json":
		return boolSlot(&b.NotificationAsJSON)
	case "notification_as_jsonlines":
		return boolSlot(&b.NotificationAsJSONLines)
	case "notification_as_csv":
		return boolSlot(&b.NotificationAsCSV)
	case "notification_csv_fields":
		return textSlot(&b.NotificationCSVFields)
	case "result_set":
		return anySlot(&b.ResultSet)
	}
	return nil
}

func (s *Scraping) slot(name []byte) slot {
	switch string(name) {
	case "sitemap_id":
		return textSlot(&s.SitemapID)
	case "sitemap_name":
		return textSlot(&s.SitemapName)
	case "custom_id":
		return textSlot(&s.CustomID)
	case "jobs_scheduled":
		return intSlot(&s.JobsScheduled)
	case "jobs_executed":
		return intSlot(&s.JobsExecuted)
	case "jobs_failed":
		return intSlot(&s.JobsFailed)
	case "jobs_empty":
		return intSlot(&s.JobsEmpty)
	case "stored_record_count":
		return intSlot(&s.StoredRecordCount)
	case "time_created":
		return intSlot(&s.TimeCreated)
	case "result_set":
		return anySlot(&s.ResultSet)
	}
	return nil
}

func (a *Async) slot(name []byte) slot {
	switch string(name) {
	case "result":
		return anySlot(&a.Result)
	case "message":
		return textSlot(&a.Message)
	case "result_set":
		return anySlot(&a.ResultSet)
	}
	return nil
}

// likelyKind guesses the kind of a record from its text.
func likelyKind(record []byte) Kind {
	_, rest, _ := bytes.Cut(record, []byte(`"kind":"`))
	name, _, _ := bytes.Cut(rest, []byte{'"'})
	return Kind(name)
}

// slot reads one attribute into its place. It reports false for what cannot
// stand there, or needs a closer look.
type slot func(value []byte) bool

func textSlot[T ~string](to *T) slot {
	return func(value []byte) bool {
		s, ok := plainText(value)
		if ok {
			*to = T(s)
			return true
		}
		return anySlot(to)(value)
	}
}

func intSlot[T int | int64](to *T) slot {
	return func(value []byte) bool {
		n, err := strconv.ParseInt(string(value), 10, 64)
		*to = T(n)
		return err == nil && int64(*to) == n
	}
}

func boolSlot(to *bool) slot {
	return func(value []byte) bool {
		*to = string(value) == "true"
		return *to || string(value) == "false"
	}
}

func anySlot[T any](to *T) slot {
	return func(value []byte) bool { return json.Unmarshal(value, to) == nil }
}

func (i *Instant) slot(value []byte) bool { return i.UnmarshalJSON(value) == nil }
