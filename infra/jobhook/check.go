package jobhook

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Check returns all that is wrong with the props, in one error, or nil. What
// is known at deployment only, a token of the CDK, is not looked into.
func (p Props) Check() error {
	p = p.withDefaults()
	var c complaints
	c.names(p)
	c.addresses(p)
	c.numbers(p)
	c.lane("first", p.First)
	c.lane("retry", p.Retry)
	if p.JobsTable != nil {
		c.jobsTable(*p.JobsTable)
	}
	c.assets(p.Assets)
	return errors.Join(c...)
}

// complaints gathers what is wrong.
type complaints []error

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

func (c *complaints) names(p Props) {
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`).MatchString(p.Stage) {
		c.add("stage is %.40q; use lower-case letters, digits and hyphens, such as dev", p.Stage)
	}
	c.oneOf("logLevel", p.LogLevel, "debug", "info", "warn", "error")
	c.oneOf("removal", p.Removal, Retain, Destroy)
}

func (c *complaints) addresses(p Props) {
	if p.AlarmEmail != "" && !isToken(p.AlarmEmail) {
		if a, err := mail.ParseAddress(p.AlarmEmail); err != nil || a.Address != p.AlarmEmail {
			c.add("alarmEmail is %.80q; write an address such as ops@example.com", p.AlarmEmail)
		}
	}
	if p.PublicURL != "" && !isToken(p.PublicURL) {
		if u, err := url.Parse(p.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.HasSuffix(p.PublicURL, "/") {
			c.add("publicUrl is %.80q; write an absolute URL without a slash at its end, such as https://hooks.example.com", p.PublicURL)
		}
	}
	for _, origin := range p.CORSOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin || strings.Contains(origin, ",") {
			c.add("corsOrigins has %.80q; write scheme and host only, such as https://app.example.com", origin)
		}
	}
	c.domain(p.Domain)
}

func (c *complaints) domain(d Domain) {
	if d == (Domain{}) {
		return
	}
	c.pattern("domain.name", d.Name, `^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$`, "hooks.example.com")
	c.pattern("domain.certificateArn", d.CertificateARN, `^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$`,
		"arn:aws:acm:eu-central-1:111122223333:certificate/...")
}

func (c *complaints) numbers(p Props) {
	if !slices.Contains(logDays(), p.Days.Logs) {
		c.add("days.logs is %d; CloudWatch keeps logs for one of %v", p.Days.Logs, logDays())
	}
	c.between("days.deliveries", p.Days.Deliveries, 1, 3650)
	c.between("days.results", p.Days.Results, 1, 3650)
	c.between("exports.maxConcurrency", p.Exports.MaxConcurrency, 2, 1_000)
	c.between("streamParallelization", p.StreamParallelization, 1, 10)
	c.between("throttle.rate", p.Throttle.Rate, 1, 10_000)
	c.between("throttle.burst", p.Throttle.Burst, 1, 5_000)
	c.between("throttle.perKey", p.Throttle.PerKey, 0, 10_000)
	c.between("disableAfterDays", p.DisableAfterDays, -1, 365)
	c.between("memoryMB.dispatch", p.MemoryMB.Dispatch, 128, 10_240)
	c.between("memoryMB.deliver", p.MemoryMB.Deliver, 128, 10_240)
	c.between("memoryMB.sweep", p.MemoryMB.Sweep, 128, 10_240)
	c.between("memoryMB.export", p.MemoryMB.Export, 128, 10_240)
	c.between("memoryMB.api", p.MemoryMB.API, 128, 10_240)
	if p.Warm != (Throughput{}) { // AWS takes no less than what every table has
		c.between("warmThroughput.read", p.Warm.Read, 12_000, 10_000_000)
		c.between("warmThroughput.write", p.Warm.Write, 4_000, 10_000_000)
	}
}

func (c *complaints) lane(name string, l Lane) {
	c.between(name+".batchSize", l.BatchSize, 1, 10_000)
	c.between(name+".windowSeconds", l.WindowSeconds, 0, 300)
	if l.BatchSize > 10 && l.WindowSeconds < 1 {
		c.add("%s.batchSize is %d; above 10, Lambda needs windowSeconds of at least 1", name, l.BatchSize)
	}
	if l.MaxConcurrency != 0 {
		c.between(name+".maxConcurrency", l.MaxConcurrency, 2, 1_000)
	}
}

func (c *complaints) jobsTable(t JobsTable) {
	c.pattern("jobsTable.streamArn", t.StreamARN, `^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[^/]+/stream/.+$`,
		"arn:aws:dynamodb:eu-central-1:111122223333:table/jobs/stream/2026-01-01T00:00:00.000")
	if t.KeyARN != "" {
		c.pattern("jobsTable.keyArn", t.KeyARN, `^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$`, "arn:aws:kms:eu-central-1:111122223333:key/...")
	}
	for _, name := range []string{"id", "status"} {
		if t.Constants[name] != "" {
			c.add("jobsTable.constants has %s, which cannot be the same for every job", name)
		}
	}
	for _, text := range slices.Concat(pairs(t.Attributes), pairs(t.Constants)) {
		if name, value, _ := strings.Cut(text, "="); name == "" || value == "" || strings.ContainsAny(name, ":, ") || strings.ContainsAny(value, "=,") {
			c.add("jobsTable names %.80q; write a name of Jobhook's, such as id, and what it is called or what it is, without = and commas", text)
		}
	}
}

// assets looks for the files that become the functions' code.
func (c *complaints) assets(folder string) {
	for _, name := range []string{assetDispatch, assetDeliver, assetSweep, assetExport, assetAPI} {
		file := filepath.Join(folder, name, "bootstrap")
		if _, err := os.Stat(file); err != nil {
			c.add("%s is missing; run `make build` first", file)
		}
	}
}

func (c *complaints) between(name string, value, least, most int) {
	if value < least || value > most {
		c.add("%s is %d; use %d to %d", name, value, least, most)
	}
}

func (c *complaints) oneOf(name, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.add("%s is %.40q; use one of %q", name, value, words)
	}
}

func (c *complaints) pattern(name, value, pattern, example string) {
	if !isToken(value) && !regexp.MustCompile(pattern).MatchString(value) {
		c.add("%s is %.120q; write it like %s", name, value, example)
	}
}

// isToken tells whether a text holds what is known at deployment only.
func isToken(text string) bool { return strings.Contains(text, "${Token[") }

// logDays are the retentions that CloudWatch knows.
func logDays() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}
