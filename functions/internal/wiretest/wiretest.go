// Package wiretest holds what every function's wire promises. Tests only
// import it.
package wiretest

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

// Wire makes a function of its environment.
type Wire func(getenv func(string) string) (lambdahost.Function, error)

// NamesAllThatIsMissing tells whether an empty environment is refused with the
// name of every variable of a whole one.
func NamesAllThatIsMissing(t *testing.T, wire Wire, whole map[string]string) {
	t.Helper()
	_, err := wire(func(string) string { return "" })
	if err == nil {
		t.Fatal("it started without an environment")
	}
	for name := range whole {
		if !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}

// StartsWithoutACall tells whether a whole environment is enough, although
// nobody answers at AWS's place.
func StartsWithoutACall(t *testing.T, wire Wire, whole map[string]string) {
	t.Helper()
	f, err := wire(func(name string) string {
		if name == "AWS_ENDPOINT_URL" {
			return "http://127.0.0.1:1" // nobody listens
		}
		return whole[name]
	})
	if err != nil || f.Handler == nil {
		t.Fatalf("got %+v, %v", f, err)
	}
}
