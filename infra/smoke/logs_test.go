package smoke

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// spoken is what the functions printed, read.
type spoken struct {
	totals map[string]float64 // of metrics, by function and name, such as deliver-first Delivered
}

// listen reads what the functions printed. Each line must be JSON, a line of
// metrics must belong to the stage, any other must carry the id of its request,
// and none may tell what is secret.
func listen(t *testing.T, all functions, secrets map[string]string) spoken {
	t.Helper()
	s := spoken{totals: map[string]float64{}}
	for _, f := range all {
		for _, line := range f.Lines() {
			for what, secret := range secrets {
				if strings.Contains(line, secret) {
					t.Errorf("%s tells %s: %s", f.name, what, line)
				}
			}
			s.read(t, f, line)
		}
	}
	return s
}

func (s spoken) read(t *testing.T, f *function, line string) {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Errorf("%s prints no JSON: %s", f.name, line)
		return
	}
	if fields["_aws"] != nil {
		s.metrics(t, f, line, fields)
		return
	}
	if id, _ := fields["request_id"].(string); len(id) != 36 {
		t.Errorf("%s has a line without the id of its request: %s", f.name, line)
	}
	if level, _ := fields["level"].(string); level == "ERROR" {
		t.Errorf("%s has an error: %s", f.name, line)
	}
}

// metrics adds up a line in the embedded metric format.
func (s spoken) metrics(t *testing.T, f *function, line string, fields map[string]any) {
	t.Helper()
	var e struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(line), &e); err != nil || len(e.AWS.CloudWatchMetrics) != 1 {
		t.Errorf("metrics of %s: %v in %s", f.name, err, line)
		return
	}
	m := e.AWS.CloudWatchMetrics[0]
	if fields["stage"] != stageName || m.Namespace != "Jobhook" || len(m.Dimensions) != 1 || !slices.Equal(m.Dimensions[0], []string{"stage"}) {
		t.Errorf("metrics of %s are not those of the stage: %s", f.name, line)
	}
	function, _ := fields["function"].(string)
	for _, metric := range m.Metrics {
		switch v := fields[metric.Name].(type) {
		case float64:
			s.totals[function+" "+metric.Name] += v
		case []any:
			s.totals[function+" "+metric.Name+" values"] += float64(len(v))
		default:
			t.Errorf("metric %s is announced and not told: %s", metric.Name, line)
		}
	}
}

// want compares totals. A metric that was never told is 0.
func (s spoken) want(t *testing.T, totals map[string]float64) {
	t.Helper()
	for name, want := range totals {
		if got := s.totals[name]; got != want {
			t.Errorf("metric %s: got %v in all, want %v", name, got, want)
		}
	}
}
