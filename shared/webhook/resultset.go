package webhook

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
)

// Export asks for the files of a run's results.
type Export struct {
	Account string   `json:"account"`
	Kind    job.Kind `json:"kind"`
	JobID   string   `json:"job"`
	Run     int      `json:"run"`
	EventID string   `json:"event"` // of the run's end; its snapshot is the job as it was then
}

// ResultSetState tells how far the export of a result set is.
type ResultSetState string

// The states of a result set.
const (
	ResultSetExporting ResultSetState = "exporting"
	ResultSetExported  ResultSetState = "ready"
	ResultSetFailed    ResultSetState = "failed"
)

// ResultSet is what is known of the exported files of one run.
type ResultSet struct {
	Account string
	Kind    job.Kind
	JobID   string
	Run     int
	Token   string // unguessable; names the set in links, see NewResultSetToken
	State   ResultSetState
	Reason  string // why the export failed
	Pages   int    // of up to 1,000 records
	Records int
	Bytes   int64  // of all files together
	CSVHash string // 40 hexadecimal digits, of the columns; in the names of CSV files

	CreatedAt      time.Time
	UpdatedAt      time.Time
	ExpiresAt      time.Time
	RevokedAt      time.Time // from then on its links lead nowhere; zero: not revoked
	Downloads      int
	LastDownloadAt time.Time
}

// Download is one click on a link.
type Download struct {
	At     time.Time // to the microsecond; names the download within its set
	File   string
	Method string // GET or HEAD
}

// NewResultSetToken returns the token of a run's result set: where it is kept,
// and 128 random bits.
func NewResultSetToken(account string, k job.Kind, id string, run int) string {
	return fmt.Sprintf("%s-%d-%s", files.JobHash(account, k, id), run, strings.ToLower(rand.Text()))
}

// ParseResultSetToken tells where the result set of a token is kept; false for
// what is no token. The secret is not checked.
func ParseResultSetToken(token string) (jobHash string, run int, ok bool) {
	parts := strings.Split(token, "-")
	if len(token) > 128 || len(parts) != 3 || len(parts[0]) != 40 || len(parts[2]) < 26 {
		return "", 0, false
	}
	run, err := strconv.Atoi(parts[1])
	return parts[0], run, err == nil && run >= 0 && strconv.Itoa(run) == parts[1]
}
