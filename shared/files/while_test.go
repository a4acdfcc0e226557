package files_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/files"
)

func TestWhatIsReadWhileItsContextEndsIsNotWhole(t *testing.T) {
	if got, err := io.ReadAll(files.While(t.Context(), strings.NewReader("all"))); string(got) != "all" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for name, last := range map[string]error{"before the end": nil, "at the end": io.EOF} {
		ctx, cancel := context.WithCancel(t.Context())
		r := files.While(ctx, readerFunc(func(p []byte) (int, error) { cancel(); return 1, last }))
		for range 2 {
			if n, err := r.Read(make([]byte, 8)); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %d bytes, %v", name, n, err)
			}
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
