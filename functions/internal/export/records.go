package export

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"github.com/jobhook/jobhook/functions/internal/jsonl"
	"github.com/jobhook/jobhook/shared/files"
)

// errChanged says that parts were uploaded anew while they were exported.
var errChanged = errors.New("the records changed while they were read")

// digest tells the records of two readings apart.
type digest struct {
	records int
	bytes   int64
	sum     uint32
}

// reading reads the records of uploaded parts, from the first to the last.
type reading struct {
	files   Files
	parts   []files.Info
	checked bool // every line was read before
	table   *crc32.Table

	body   io.Closer // of the part that is being read; nil between two
	lines  *jsonl.Reader
	name   string
	digest digest
}

func newReading(from Files, parts []files.Info, checked bool) *reading {
	return &reading{files: from, parts: parts, checked: checked, table: crc32.MakeTable(crc32.Castagnoli)}
}

// next returns the next record, good until the next call, or io.EOF. What the
// uploader has to mend is a refusal.
func (r *reading) next(ctx context.Context) ([]byte, error) {
	for {
		if err := r.turn(ctx); err != nil {
			return nil, err
		}
		record, err := r.lines.Next()
		var bad *jsonl.LineError
		switch {
		case err == nil:
			r.digest.records++
			r.digest.bytes += int64(len(record))
			r.digest.sum = crc32.Update(r.digest.sum, r.table, record)
			return record, nil
		case errors.As(err, &bad):
			return nil, refusal{fmt.Sprintf("records: part %s: %s", r.name, bad)}
		case !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("records: part %s: %w", r.name, err)
		}
		r.close()
	}
}

// turn opens the next part, unless one is open.
func (r *reading) turn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.body != nil {
		return nil
	}
	if len(r.parts) == 0 {
		return io.EOF
	}
	body, _, err := r.files.Open(ctx, r.parts[0].Key)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	r.body, r.name, r.parts = body, path.Base(r.parts[0].Key), r.parts[1:]
	if r.lines = jsonl.NewReader(body); r.checked {
		r.lines = jsonl.NewCheckedReader(body)
	}
	return nil
}

// close ends the reading of a part.
func (r *reading) close() {
	if r.body != nil {
		_ = r.body.Close() // it was only read
		r.body = nil
	}
}

// each calls f with every record and returns what was read.
func (r *reading) each(ctx context.Context, f func(record []byte) error) (digest, error) {
	defer r.close()
	for {
		record, err := r.next(ctx)
		if errors.Is(err, io.EOF) {
			return r.digest, nil
		}
		if err == nil {
			err = f(record)
		}
		if err != nil {
			return r.digest, err
		}
	}
}
