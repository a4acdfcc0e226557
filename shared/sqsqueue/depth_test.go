package sqsqueue

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

// counting answers with the attributes of each queue, by the ends of their URLs.
func counting(attributes map[string]map[string]string) *fake {
	return &fake{answer: func(_ *http.Request, c call) *http.Response {
		if c.Action != "GetQueueAttributes" {
			return nil
		}
		name := c.QueueURL[strings.LastIndexByte(c.QueueURL, '/')+1:]
		if attributes[name] == nil {
			return respond(http.StatusForbidden, map[string]string{"__type": "AccessDeniedException"})
		}
		return respond(http.StatusOK, map[string]any{"Attributes": attributes[name]})
	}}
}

func counts(visible, hidden, delayed string) map[string]string {
	return map[string]string{
		"ApproximateNumberOfMessages": visible, "ApproximateNumberOfMessagesNotVisible": hidden, "ApproximateNumberOfMessagesDelayed": delayed,
	}
}

func TestDeadLettersThatSomebodyLooksAtAreCounted(t *testing.T) {
	f := counting(map[string]map[string]string{"first": counts("1", "20", "300"), "first-dead": counts("4", "3", "0")})
	got, err := f.queue(t).Depth(t.Context())
	if want := (webhook.QueueDepth{Visible: 1, Hidden: 20, Delayed: 300, Dead: 7}); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if n := len(f.made("GetQueueAttributes")); n != 2 {
		t.Errorf("got %d requests, want 2", n)
	}
}

func TestANumberThatIsNotToldIsNotTakenForNone(t *testing.T) {
	whole := counts("1", "2", "3")
	for _, test := range []struct {
		name       string
		attributes map[string]map[string]string
		want       string // in the error
	}{
		{"no right to the queue", map[string]map[string]string{"first-dead": whole}, "queue first: depth: "},
		{"no right to its dead letters", map[string]map[string]string{"first": whole}, "queue first: depth of the dead letters: "},
		{"no number", map[string]map[string]string{"first": {}, "first-dead": whole}, "ApproximateNumberOfMessages"},
		{"a word", map[string]map[string]string{"first": counts("1", "many", "3"), "first-dead": whole}, "ApproximateNumberOfMessagesNotVisible"},
	} {
		got, err := counting(test.attributes).queue(t).Depth(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) || got != (webhook.QueueDepth{}) {
			t.Errorf("%s: got %+v, %v, want an error with %q", test.name, got, err, test.want)
		}
	}
}
