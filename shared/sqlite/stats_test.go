package sqlite

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestHistogramsAreReadAsJSONIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := []byte(rapid.OneOf(
			rapid.SampledFrom([]string{"[]", "[1]", "[1,2,", "", "]", "[", "x", "[1.5]", "[-1]", "[ 1, 2 ]", "null", "[1,,2]", "[1]2", "[1][2]"}),
			rapid.StringMatching(`\[[0-9]{1,12}(,[0-9]{1,12}){0,30}\]`),
			rapid.StringMatching(`[\[\],0-9 ]{0,20}`),
		).Draw(t, "list"))
		var got, want webhook.Histogram
		gotErr, wantErr := readHistogram(list, &got), json.Unmarshal(list, &want)
		if wantErr != nil {
			return // no store wrote it: what becomes of it does not matter, as long as it ends
		}
		if gotErr != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", list, got, gotErr, want)
		}
	})
}
