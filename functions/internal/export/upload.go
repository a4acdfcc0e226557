package export

import (
	"bufio"
	"context"
	"io"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/shared/files"
)

// uploadBuffer is gathered before whoever puts the file is woken.
const uploadBuffer = 256 << 10

// upload is a file that is put while it is written. Whoever began it closes or
// abandons it, and so waits for its goroutine.
type upload struct {
	buffered *bufio.Writer
	pipe     *io.PipeWriter
	done     chan error
	ended    bool
	bytes    int64
}

func newUpload(ctx context.Context, to Files, key string, m files.Meta) *upload {
	from, pipe := io.Pipe()
	u := &upload{buffered: bufio.NewWriterSize(pipe, uploadBuffer), pipe: pipe, done: make(chan error, 1)}
	go func() {
		err := crew.Guarded(func() error { return to.Put(ctx, key, from, m) })
		if err == nil {
			_ = from.Close()
		} else {
			_ = from.CloseWithError(err) // which is what the writer gets
		}
		u.done <- err
	}()
	return u
}

// Write adds to the file. Its error is that of the put.
func (u *upload) Write(p []byte) (int, error) {
	n, err := u.buffered.Write(p)
	u.bytes += int64(n)
	return n, err
}

// close ends the file. Without an error it is there.
func (u *upload) close() error {
	u.ended = true
	if err := u.buffered.Flush(); err != nil {
		_ = u.pipe.CloseWithError(err)
		<-u.done
		return err
	}
	_ = u.pipe.Close()
	return <-u.done
}

// abandon gives up a file that was not closed, if there is one.
func (u *upload) abandon(err error) {
	if u == nil || u.ended {
		return
	}
	u.ended = true
	_ = u.pipe.CloseWithError(err)
	<-u.done
}
