package job

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestTheQuickWayReadsWhatEncodingJSONReads generates records, odd ones among
// them. What the quick way accepts, encoding/json must accept and read alike.
func TestTheQuickWayReadsWhatEncodingJSONReads(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		record := []byte(recordText(t))
		quick, ok := decodeQuickly(record)
		if !ok {
			return
		}
		accepted++
		var c core
		if err := json.Unmarshal(record, &c); err != nil {
			t.Fatalf("%s: the quick way accepted what encoding/json does not: %v", record, err)
		}
		slow := c.job(record)
		if !quick.Equal(slow) {
			t.Fatalf("%s:\nquick %+v\nslow  %+v", record, quick, slow)
		}
		inside := cmp.AllowUnexported(Batch{}, Scraping{}, Async{}, core{})
		instants := cmp.Comparer(func(a, b Instant) bool { return a.Time().Equal(b.Time()) })
		if diff := cmp.Diff(attributesIn(t, quick), attributesIn(t, slow), inside, instants); diff != "" {
			t.Fatalf("%s: attributes (-quick +slow):\n%s", record, diff)
		}
	})
	if accepted == 0 {
		t.Error("the quick way accepted nothing: the test shows nothing")
	}
}

func attributesIn(t *rapid.T, j Job) (a any) {
	var err error
	switch j.Kind {
	case KindBatch:
		a, err = j.Batch()
	case KindScraping:
		a, err = j.Scraping()
	default:
		a, err = j.Async()
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// recordText is a record of a batch, scraping or async job, mostly a sound one.
func recordText(t *rapid.T) string {
	kind := rapid.SampledFrom([]string{"batch", "scraping", "async"}).Draw(t, "kind")
	members := []string{`"kind":"` + kind + `"`}
	names := []string{"account", "id", "status", "run", "created_at", "name", "started_at", "searches_total", "notification_as_json",
		"notification_webhook", "sitemap_id", "jobs_failed", "time_created", "message", "other", "we\\u0069rd", "Run", "STATUS", "camelCase", "\u017ftatus"}
	values := []string{`"acme"`, `"a\"b\\c"`, `"\u00e4\n"`, `"2026-01-01T00:00:00.000Z"`, `""`, `0`, `-7`, `12`, `1.5`, `1e3`,
		`12345678901234567890`, `true`, `false`, `null`, `{"a":[1,{"b":"}"}]}`, `[]`, `"\ud800"`}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 8, rapid.ID).Draw(t, "names") {
		members = append(members, `"`+name+`": `+rapid.SampledFrom(values).Draw(t, name))
	}
	if rapid.Bool().Draw(t, "with results") {
		members = append(members, `"result_set":{"id":1,"files":{"json":{"pages":["x"],"all_pages":"y"}}}`)
	}
	text := "{" + strings.Join(members, rapid.SampledFrom([]string{",", " ,\n"}).Draw(t, "comma")) + "}"
	if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
		text = text[:len(text)-rapid.IntRange(1, 3).Draw(t, "cut")]
	}
	return text
}
