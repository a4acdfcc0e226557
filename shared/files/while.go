package files

import (
	"context"
	"io"
)

// While returns a reader that reads r until ctx ends, and fails with ctx's error
// from then on, also where r came to its end meanwhile: what was cancelled is not
// taken for whole.
func While(ctx context.Context, r io.Reader) io.Reader { return while{ctx, r} }

type while struct {
	ctx context.Context
	r   io.Reader
}

func (w while) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	if ended := w.ctx.Err(); ended != nil {
		return 0, ended
	}
	return n, err
}
