package webhook

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// Prefixes of the ids that Jobhook mints.
const (
	eventPrefix    = "evt_"
	deliveryPrefix = "dlv_"
)

const (
	timeChars   = 10 // 48 bits of milliseconds
	hashChars   = 16 // 80 bits
	targetChars = 10 // 50 bits
)

// EventID returns the id of an event: the job's creation time, so that rows of
// one time lie together, and a hash of what happened. The same change gives
// the same id however often it is read. Once per run is once: only progress,
// and jobs whose runs nobody counts (Run is 0), add the change's sequence number.
func EventID(j job.Job, t EventType, sequence string) string {
	parts := []string{j.Account, string(j.Kind), j.ID, strconv.Itoa(j.Run), string(t)}
	if t == JobProgress || t == JobUnreadable || j.Run == 0 {
		parts = append(parts, sequence)
	}
	return eventPrefix + TimePrefix(j.CreatedAt) + hash(hashChars, parts...)
}

// DeliveryID returns the id of an event's delivery to a target.
func DeliveryID(eventID string, t Target) string {
	return deliveryPrefix + strings.TrimPrefix(eventID, eventPrefix) + hash(targetChars, t.key())
}

// DeliveryPrefix begins the ids of all deliveries of jobs created at t.
func DeliveryPrefix(t time.Time) string { return deliveryPrefix + TimePrefix(t) }

// DeliveryPrefixOf begins the ids of all deliveries of events that share the
// creation time of the given event's job.
func DeliveryPrefixOf(eventID string) string {
	id := strings.TrimPrefix(eventID, eventPrefix)
	return deliveryPrefix + id[:min(timeChars, len(id))]
}

// TimePrefix writes a time's milliseconds so that text order is time order.
// Times before 1970, and the zero time, count as 1970.
func TimePrefix(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	var b [timeChars]byte
	for i := timeChars - 1; i >= 0; i-- {
		b[i] = alphabet[ms&31]
		ms >>= 5
	}
	return string(b[:])
}

// alphabet is Crockford's base 32 in lower case: its letters sort as they count.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// hash returns n characters of a hash of the parts, each preceded by its
// length so that no two lists of parts look alike.
func hash(n int, parts ...string) string {
	var b []byte
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return base32.NewEncoding(alphabet).EncodeToString(sum[:])[:n]
}
