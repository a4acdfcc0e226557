// Package files holds what is known of files wherever they are kept: where the
// files of a job lie, what they are served with, and how they are linked to.
package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// Meta is what a file is served with, when a link says nothing else.
type Meta struct {
	ContentType string // empty: application/octet-stream
	FileName    string // under which browsers save it; empty: the end of its key
}

// Info is a file that exists.
type Info struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// LinkOptions say what a link does.
type LinkOptions struct {
	Method      string        // GET or HEAD; empty: GET. A link works for one of them.
	FileName    string        // under which browsers save it; empty: as it was put
	ContentType string        // empty: as it was put
	Expires     time.Duration // whole seconds, rounded up, at most 7 days; 0: 5 minutes
}

// Prefixes of all keys. Files under Results and Records live as long as result
// sets, those under Inputs as long as deliveries.
const (
	Results = "results/"
	Records = "records/"
	Inputs  = "inputs/"
)

// JobHash names a job in keys and tokens: 40 hexadecimal digits. Ids are the
// platform's own and may hold what keys may not.
func JobHash(account string, k job.Kind, id string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(account)) + ":" + account + ":" + string(k) + ":" + id))
	return hex.EncodeToString(sum[:20])
}

// RecordsFolder is where the uploaded parts of a run's records lie.
func RecordsFolder(account string, k job.Kind, id string, run int) string {
	return fmt.Sprintf("%s%s/%d/", Records, JobHash(account, k, id), run)
}

// InputsFolder is where the uploaded parts of a job's inputs lie.
func InputsFolder(account string, k job.Kind, id string) string {
	return Inputs + JobHash(account, k, id) + "/"
}

// ResultsFolder is where the exported files of a run lie.
func ResultsFolder(account string, k job.Kind, id string, run int) string {
	return fmt.Sprintf("%s%s/%d/", Results, JobHash(account, k, id), run)
}

// MaxParts is how many parts an upload may have: part numbers are 1 to MaxParts.
const MaxParts = 10_000

// Part is the end of the key of an uploaded part: parts sort as they count.
func Part(n int) string { return fmt.Sprintf("%06d.jsonl", n) }
