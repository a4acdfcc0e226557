package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/download"
	"github.com/jobhook/jobhook/functions/internal/jsonl"
	"github.com/jobhook/jobhook/shared/files"
)

const (
	// defaultMaxUpload bounds an upload unless Config.MaxUpload does, in bytes.
	defaultMaxUpload = 64 << 20
	contentLines     = "application/x-ndjson"
)

// uploadTypes are the content types that JSON Lines go by.
func uploadTypes() []string {
	return []string{contentLines, "application/jsonl", "application/jsonlines", "application/json-lines", "application/x-jsonlines", "application/octet-stream"}
}

// UploadBody is a body that is read as it comes. It is exported, as all that is
// embedded, for huma to see it.
type UploadBody struct {
	request *http.Request
	answer  http.ResponseWriter
}

// Resolve keeps the request; huma calls it.
func (u *UploadBody) Resolve(ctx huma.Context) []error {
	u.request, u.answer = humago.Unwrap(ctx)
	return nil
}

var _ huma.Resolver = (*UploadBody)(nil)

// keepLines checks JSON Lines while they are put into a file. What was kept
// under the key stays if they are refused: by what is wrong with them, or by
// allowed, which is asked when they have come.
func (a *API) keepLines(ctx context.Context, key string, u UploadBody, allowed func() error) (uploadView, error) {
	limit := a.MaxUpload
	if limit == 0 {
		limit = defaultMaxUpload
	}
	if err := checkUpload(u.request, limit); err != nil {
		return uploadView{}, err
	}
	body := &uploadReader{from: u.request.Body, control: http.NewResponseController(u.answer), limit: limit}
	lines, out := io.Pipe()
	checked := make(chan error, 1)
	records := 0
	go func() {
		err := crew.Guarded(func() (err error) {
			if records, err = countLines(io.TeeReader(body, out)); err != nil {
				return err
			}
			return allowed()
		})
		out.CloseWithError(err) // the file is whole only if its reader meets the end
		checked <- err
	}()
	err := a.Files.Put(ctx, key, lines, files.Meta{ContentType: files.ContentType(key)})
	lines.CloseWithError(errors.Join(errNotKept, err)) // ends the reading, should it still go on
	if bad := <-checked; bad != nil && !errors.Is(bad, errNotKept) {
		return uploadView{}, bad
	}
	if err != nil {
		return uploadView{}, fmt.Errorf("keep part: %w", err)
	}
	return uploadView{Records: records, Bytes: body.read}, nil
}

var errNotKept = errors.New("the file was not kept")

// countLines reads to the end and counts the records.
func countLines(from io.Reader) (n int, err error) {
	for r := jsonl.NewReader(from); ; n++ {
		if _, err = r.Next(); err == nil {
			continue
		}
		var line *jsonl.LineError
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case errors.As(err, &line):
			return n, invalid(fmt.Sprintf("line %d", line.Line), line.Problem, line.Cure)
		}
		return n, err
	}
}

// checkUpload refuses what can be refused before it is read.
func checkUpload(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return uploadTooLarge(limit)
	}
	whole := r.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(whole)
	if whole == "" || err == nil && slices.Contains(uploadTypes(), kind) {
		return nil
	}
	return problem(http.StatusUnsupportedMediaType, "The body must be JSON Lines; send Content-Type: "+contentLines+".")
}

func uploadTooLarge(limit int64) *Problem {
	return problem(http.StatusRequestEntityTooLarge, "The part is too large.").
		field("", fmt.Sprintf("it has more than %d bytes", limit),
			"send smaller parts, each with its number as ?part=, or get a URL to upload to from record-links or input-links")
}

// uploadReader reads a body up to a limit, and waits for each piece of it. What
// goes wrong is the sender's doing.
type uploadReader struct {
	from    io.Reader
	control *http.ResponseController
	limit   int64
	read    int64
}

// Read reads on.
func (u *uploadReader) Read(p []byte) (int, error) {
	download.Wait(u.control)
	n, err := u.from.Read(p)
	if u.read += int64(n); u.read > u.limit {
		return 0, uploadTooLarge(u.limit)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case errors.As(err, &large):
		return n, uploadTooLarge(large.Limit)
	}
	return n, problem(http.StatusBadRequest, "The body cannot be read.").
		field("", "it broke off", "send the part again; what was kept of it before is as it was")
}
