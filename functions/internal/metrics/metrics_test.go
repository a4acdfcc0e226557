package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/metrics"
)

func TestALineKeepsTheRulesOfTheFormat(t *testing.T) {
	out := &writes{}
	before := time.Now()
	line := metrics.New(out, "prod", `deliver-"first"`).Line()
	line.Count(metrics.Messages, 3)
	line.Count(metrics.Delivered, 1)
	line.Count(metrics.Delivered, 1)
	line.Count(metrics.Failed, 0)
	line.Millis(metrics.EndpointLatency, 1499*time.Microsecond)
	line.Millis(metrics.EndpointLatency, 2*time.Second)
	line.Millis(metrics.FirstAttemptLag, -time.Second)
	line.Seconds(metrics.DueBacklogAge, 90*time.Second)
	line.Level(metrics.DueBacklog, 0)
	line.Write(invocation(t))

	got := check(t, out.only(t))
	if at := time.UnixMilli(got.timestamp); at.Before(before.Truncate(time.Millisecond)) || at.After(time.Now()) {
		t.Errorf("timestamp %s, want now", at)
	}
	want := map[string]any{
		"stage": "prod", "function": `deliver-"first"`, "request_id": "req-1",
		"Messages": 3.0, "Delivered": 2.0, "EndpointLatency": []any{1.0, 2000.0}, "FirstAttemptLag": []any{0.0},
		"DueBacklogAge": 90.0, "DueBacklog": 0.0,
	}
	if diff := cmp.Diff(got.members, want); diff != "" {
		t.Errorf("members (-got +want):\n%s", diff)
	}
	units := map[string]string{
		"Messages": "Count", "Delivered": "Count", "EndpointLatency": "Milliseconds", "FirstAttemptLag": "Milliseconds",
		"DueBacklogAge": "Seconds", "DueBacklog": "Count",
	}
	if diff := cmp.Diff(got.units, units); diff != "" {
		t.Errorf("units (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(got.dimensions, [][]string{{"stage"}}); diff != "" {
		t.Errorf("dimensions (-got +want):\n%s", diff)
	}
}

func TestMoreValuesThanTheFormatTakesAreASampleThatSaysSo(t *testing.T) {
	out := &writes{}
	line := metrics.New(out, "prod", "deliver-first").Line()
	for i := range 1000 {
		line.Millis(metrics.EndpointLatency, time.Duration((i*7919)%1000+1)*time.Millisecond) // each of 1 to 1000 once
	}
	line.Millis(metrics.FirstAttemptLag, time.Second)
	line.Write(t.Context())

	got := check(t, out.only(t))
	var values []float64
	for _, v := range got.members["EndpointLatency"].([]any) {
		values = append(values, v.(float64))
	}
	if len(values) != metrics.MaxValues || !slices.IsSorted(values) {
		t.Errorf("%d values, sorted %t; want %d, sorted", len(values), slices.IsSorted(values), metrics.MaxValues)
	}
	if values[0] != 1 || values[len(values)-1] != 1000 || values[50] < 490 || values[50] > 510 {
		t.Errorf("least %v, middle %v, most %v; want 1, about 500, 1000", values[0], values[50], values[len(values)-1])
	}
	if diff := cmp.Diff(got.members["sampled"], any(map[string]any{"EndpointLatency": 1000.0})); diff != "" {
		t.Errorf("sampled (-got +want):\n%s", diff)
	}
}

func TestExactlyAsManyValuesAsTheFormatTakesAreAllTold(t *testing.T) {
	out := &writes{}
	line := metrics.New(out, "prod", "dispatch").Line()
	for i := range metrics.MaxValues {
		line.Millis(metrics.DispatchLag, time.Duration(i)*time.Millisecond)
	}
	line.Write(t.Context())
	got := check(t, out.only(t))
	if _, sampled := got.members["sampled"]; sampled || len(got.members["DispatchLag"].([]any)) != metrics.MaxValues {
		t.Errorf("members %v, want %d values and no sample", got.members, metrics.MaxValues)
	}
}

func TestABatchOfWhichNothingIsToldWritesNoLine(t *testing.T) {
	out := &writes{}
	line := metrics.New(out, "prod", "deliver-first").Line()
	line.Count(metrics.Delivered, 0)
	line.Write(t.Context())
	if len(out.all) != 0 {
		t.Errorf("wrote %q", out.all)
	}
}

func TestNoEmitterCostsNothing(t *testing.T) {
	var none *metrics.Emitter
	allocs := testing.AllocsPerRun(100, func() {
		line := none.Line()
		line.Count(metrics.Delivered, 1)
		line.Millis(metrics.EndpointLatency, time.Second)
		line.Write(context.Background())
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func TestManyAtOnceLoseNothingAndMixNoLines(t *testing.T) {
	out := &writes{}
	emitter := metrics.New(out, "prod", "deliver-first")
	shared := emitter.Line()
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			shared.Count(metrics.Delivered, 1)
			own := emitter.Line()
			own.Count(metrics.Messages, 1)
			own.Write(t.Context())
		})
	}
	wait.Wait()
	shared.Write(t.Context())
	if len(out.all) != 51 {
		t.Fatalf("%d writes, want one for each of 51 lines", len(out.all))
	}
	for _, line := range out.all[:50] {
		check(t, line)
	}
	if got := check(t, out.all[50]).members["Delivered"]; got != 50.0 {
		t.Errorf("counted %v, want 50", got)
	}
}

// writes keeps what each call of Write was given.
type writes struct{ all [][]byte }

// Write keeps a copy.
func (w *writes) Write(b []byte) (int, error) {
	w.all = append(w.all, bytes.Clone(b))
	return len(b), nil
}

func (w *writes) only(t *testing.T) []byte {
	t.Helper()
	if len(w.all) != 1 {
		t.Fatalf("%d writes, want 1", len(w.all))
	}
	return w.all[0]
}

// parsed is a line without its metadata.
type parsed struct {
	timestamp  int64
	dimensions [][]string
	units      map[string]string
	members    map[string]any
}

// check reads a line and holds it to the format's rules.
func check(t *testing.T, line []byte) parsed {
	t.Helper()
	var meta struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	p := parsed{units: map[string]string{}}
	if err := json.Unmarshal(line, &meta); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := json.Unmarshal(line, &p.members); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("}\n")) {
		t.Errorf("%q is not one line", line)
	}
	if len(meta.AWS.CloudWatchMetrics) != 1 {
		t.Fatalf("%d directives, want 1", len(meta.AWS.CloudWatchMetrics))
	}
	d := meta.AWS.CloudWatchMetrics[0]
	p.timestamp, p.dimensions = meta.AWS.Timestamp, d.Dimensions
	if n := len(d.Namespace); n < 1 || n > 1024 {
		t.Errorf("the namespace has %d bytes", n)
	}
	if len(d.Metrics) < 1 || len(d.Metrics) > 100 {
		t.Errorf("%d metrics in one directive", len(d.Metrics))
	}
	for _, set := range d.Dimensions {
		if len(set) > 30 {
			t.Errorf("%d dimensions in one set", len(set))
		}
		for _, name := range set {
			if _, ok := p.members[name].(string); !ok {
				t.Errorf("dimension %s is %v, want a text at the root", name, p.members[name])
			}
		}
	}
	for _, m := range d.Metrics {
		p.units[m.Name] = m.Unit
		if err := checkValue(p.members[m.Name]); err != nil {
			t.Errorf("metric %s: %v", m.Name, err)
		}
	}
	delete(p.members, "_aws")
	return p
}

func checkValue(v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) < 1 || len(list) > 100 {
		return fmt.Errorf("%d values", len(list))
	}
	for _, one := range list {
		if _, ok := one.(float64); !ok {
			return fmt.Errorf("%v is no number", one)
		}
	}
	return nil
}

func invocation(t *testing.T) context.Context {
	return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
}
