// Package setting holds the environment variables of the functions on AWS:
// their names, which the stacks write and the functions read, and a reader
// that reports everything that is wrong with them at once.
package setting

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The variables. Which function has which is in the README, "Stages".
const (
	Deliveries  = "JOBHOOK_DELIVERIES_TABLE"  // name of the deliveries table
	Jobs        = "JOBHOOK_JOBS_TABLE"        // name of the jobs table; left out when the platform keeps its own
	Lane        = "JOBHOOK_LANE"              // of deliver: first or retry
	Queue       = "JOBHOOK_QUEUE_URL"         // the queue that deliver is fed from
	FirstQueue  = "JOBHOOK_FIRST_QUEUE_URL"   // where dispatch rings for first attempts
	RetryQueue  = "JOBHOOK_RETRY_QUEUE_URL"   // where retries and resends are rung for
	Failures    = "JOBHOOK_FAILURES_BUCKET"   // stream batches that dispatch could not take in time
	ExportQueue = "JOBHOOK_EXPORT_QUEUE_URL"  // where dispatch asks for the export of a run's records
	Results     = "JOBHOOK_RESULTS_BUCKET"    // uploaded records, and the files of results
	SecretsKey  = "JOBHOOK_SECRETS_KEY"       // ARN of the KMS key that seals secrets
	PublicURL   = "JOBHOOK_PUBLIC_URL"        // URL under which customers reach the API; begins the links in webhooks
	Retention   = "JOBHOOK_RETENTION"         // how long deliveries are kept, such as 720h; 720h when left out
	ResultsFor  = "JOBHOOK_RESULTS_RETENTION" // how long the links of results work, such as 336h; 336h when left out
	Rate        = "JOBHOOK_RATE"              // requests a second to the API of a key, or of an account's keys together; api.Config says what holds when left out
	CORSOrigins = "JOBHOOK_CORS_ORIGINS"      // whose pages may call the API from a browser, with commas between; none when left out
	Attributes  = "JOBHOOK_JOB_ATTRIBUTES"    // how the jobs table calls what Jobhook needs, see dispatch.ParseAttributes
	NoticesTo   = "JOBHOOK_NOTICES_TOPIC"     // ARN of the SNS topic that hears of failing, disabled and recovered endpoints; none when left out
	Operator    = "JOBHOOK_OPERATOR_ACCOUNT"  // account whose endpoints may subscribe to what happens to those of all; none when left out
	DisableIn   = "JOBHOOK_DISABLE_AFTER"     // how long an endpoint fails until it is disabled, such as 120h, or never, or 0; 120h when left out
	Stage       = "JOBHOOK_STAGE"             // dimension of the metrics
	LogLevel    = "JOBHOOK_LOG_LEVEL"         // debug, info, warn or error; info when left out
	Private     = "JOBHOOK_ALLOW_PRIVATE"     // "true" lets webhooks go to private addresses: for tests on one machine
	defaultTTL  = 30 * 24 * time.Hour         // of Retention
	example     = "https://hooks.example.com" // in messages

	// Of api: where messages go that the queues above have handed out too often.
	FirstDead  = "JOBHOOK_FIRST_DEAD_LETTERS_URL"
	RetryDead  = "JOBHOOK_RETRY_DEAD_LETTERS_URL"
	ExportDead = "JOBHOOK_EXPORT_DEAD_LETTERS_URL"
)

// Never is a value of DisableIn. 0 says the same.
const Never = "never"

// Lanes of deliver.
const (
	LaneFirst = "first"
	LaneRetry = "retry"
)

// Reader reads variables and gathers what is wrong with them.
type Reader struct {
	getenv  func(string) string
	missing []string
	wrong   []error
}

// NewReader returns a reader of an environment, such as os.Getenv.
func NewReader(getenv func(string) string) *Reader { return &Reader{getenv: getenv} }

// Need returns a variable that must be set.
func (r *Reader) Need(name string) string {
	value := r.getenv(name)
	if value == "" {
		r.missing = append(r.missing, name)
	}
	return value
}

// Text returns a variable, empty when it is not set.
func (r *Reader) Text(name string) string { return r.getenv(name) }

// OneOf returns a variable that must be one of the words.
func (r *Reader) OneOf(name string, words ...string) string {
	value := r.Need(name)
	if value != "" && !slices.Contains(words, value) {
		r.wrong = append(r.wrong, fmt.Errorf("%s is %.40q; use one of %q", name, value, words))
	}
	return value
}

// URL returns a variable that must be an absolute URL.
func (r *Reader) URL(name string) string {
	value := r.Need(name)
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		r.wrong = append(r.wrong, fmt.Errorf("%s is %.80q; write an absolute URL such as %s", name, value, example))
	}
	return value
}

// Retention returns how long deliveries are kept.
func (r *Reader) Retention() time.Duration { return r.Lasts(Retention, defaultTTL) }

// Lasts returns a variable that is a duration of at least an hour, and a default
// when it is not set.
func (r *Reader) Lasts(name string, otherwise time.Duration) time.Duration {
	value := r.getenv(name)
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Hour {
		r.wrong = append(r.wrong, fmt.Errorf("%s is %.40q; write a duration of at least 1h, such as 720h", name, value))
	}
	return d
}

// DisableAfter returns how long an endpoint fails until it is disabled: 0, which
// stands for the default, when it is not set, and less than 0 for never.
func (r *Reader) DisableAfter() time.Duration {
	d, err := ParseDisableAfter(r.getenv(DisableIn))
	if err != nil {
		r.wrong = append(r.wrong, fmt.Errorf("%s %w", DisableIn, err))
	}
	return d
}

// ParseDisableAfter reads how long an endpoint fails until it is disabled: a
// duration of at least an hour; Never or 0, for which it returns less than 0; or
// nothing, 0. Its error goes on after the name of the setting.
func ParseDisableAfter(text string) (time.Duration, error) {
	switch text {
	case "":
		return 0, nil
	case Never:
		return -1, nil
	}
	switch d, err := time.ParseDuration(text); {
	case err == nil && d == 0:
		return -1, nil
	case err != nil || d < time.Hour:
		return 0, fmt.Errorf("is %.40q; write a duration of at least 1h, such as 120h, or %s", text, Never)
	default:
		return d, nil
	}
}

// Count returns a variable that is a whole number of at least 0; 0 when it is
// not set.
func (r *Reader) Count(name string) int {
	value := r.getenv(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		r.wrong = append(r.wrong, fmt.Errorf("%s is %.40q; write a whole number of at least 0, or leave it out", name, value))
		return 0
	}
	return n
}

// Origins returns a variable that lists web origins with commas between; none
// when it is not set.
func (r *Reader) Origins(name string) []string {
	var list []string
	for origin := range strings.SplitSeq(r.getenv(name), ",") {
		if origin = strings.TrimSpace(origin); origin == "" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
			r.wrong = append(r.wrong, fmt.Errorf("%s has %.80q; write scheme and host only, such as https://app.example.com", name, origin))
		}
		list = append(list, origin)
	}
	return list
}

// LogLevel returns the least severe level that is logged.
func (r *Reader) LogLevel() slog.Level {
	level := slog.LevelInfo
	if value := r.getenv(LogLevel); value != "" {
		if err := level.UnmarshalText([]byte(value)); err != nil {
			r.wrong = append(r.wrong, fmt.Errorf("%s is %.40q; use debug, info, warn or error", LogLevel, value))
		}
	}
	return level
}

// Parse returns what a function of the caller reads in a variable, which may
// be empty.
func Parse[T any](r *Reader, name string, parse func(string) (T, error)) T {
	value, err := parse(r.getenv(name))
	if err != nil {
		r.wrong = append(r.wrong, fmt.Errorf("%s: %w", name, err))
	}
	return value
}

// Err returns all that is wrong, in one error, or nil.
func (r *Reader) Err() error {
	all := r.wrong
	if len(r.missing) > 0 {
		all = append([]error{fmt.Errorf("environment variables are missing: %q", r.missing)}, all...)
	}
	return errors.Join(all...)
}
