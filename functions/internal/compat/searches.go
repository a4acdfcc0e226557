package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/jobhook/jobhook/functions/internal/jsonl"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// pageSearches is how many searches SerpWow shows on a page.
const pageSearches = 1000

// maxSearchPage bounds the searches of a page, in bytes of a JSON string: that
// is how Lambda takes an answer, of 6 MB at most.
const maxSearchPage = 5 << 20

// pagesOf is how many pages so many searches have.
func pagesOf(searches int) int { return (searches + pageSearches - 1) / pageSearches }

// listSearches shows a page of the searches that were uploaded as the batch's
// inputs, each as it was written: the platform gives them their ids. SerpWow's
// page does not say what comes beyond the last page: we answer 404, but for
// the first one, which is empty where there are no searches.
func (c *routes) listSearches(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.batch(r, account)
	if err != nil {
		return err
	}
	page, err := positive("page", r.PathValue("page"))
	if err != nil {
		return err
	}
	b, err := j.Batch()
	if err != nil {
		return err
	}
	found, count, err := c.searchesOn(r.Context(), j, page, b.SearchesTotal)
	if err != nil {
		return err
	}
	pages := pagesOf(count)
	if len(found) == 0 && page > 1 {
		return refuse(http.StatusNotFound, "Page %d not found; the batch has %d pages of searches.", page, pages)
	}
	return show(w, r, struct {
		serpWowAnswer
		BatchID     string            `json:"batch_id"`
		PageCurrent int               `json:"searches_page_current"`
		PageCount   int               `json:"searches_page_count"`
		Searches    []json.RawMessage `json:"searches"`
	}{success(), j.ID, page, pages, found})
}

// searchesOn returns the searches of a page, and how many there are in all:
// what the record says, as long as no more are found, else as many as there
// are. Whoever asks for page n pays for reading the pages before it.
func (c *routes) searchesOn(ctx context.Context, j job.Job, page, total int) (found []json.RawMessage, count int, err error) {
	found = []json.RawMessage{}
	parts, err := c.searchParts(ctx, j)
	if err != nil {
		return nil, 0, err
	}
	first, last, size := (page-1)*pageSearches, page*pageSearches, 0
	err = c.eachSearch(ctx, parts, func(search []byte) error {
		if count++; count > first && count <= last {
			if size += quoted(search); size > maxSearchPage {
				return refuse(http.StatusBadRequest, "The searches of page %d have more than %d MB together, which is more than fits into an answer; "+
					"divide the searches among smaller batches to list them.", page, maxSearchPage>>20)
			}
			found = append(found, bytes.Clone(search))
		}
		if count == last && total >= last {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, max(count, total), err
}

// errEnough ends a walk over searches early.
var errEnough = errors.New("enough")

// quoted is how many bytes a text has as a JSON string.
func quoted(text []byte) int {
	b, _ := marshal(string(text)) // a text always marshals
	return len(b)
}

// maxCounted bounds, in bytes, the parts whose searches are counted.
const maxCounted = 16 << 20

// countSearches counts the searches up to one that cannot be read, which is
// told to whoever asks for its page. Of more than 16 MiB it counts none: they
// are counted anew for every request. A record that says how many there are
// spares it.
func (c *routes) countSearches(ctx context.Context, j job.Job) (count int, err error) {
	parts, err := c.searchParts(ctx, j)
	if err != nil {
		return 0, err
	}
	var size int64
	for _, p := range parts {
		size += p.Size
	}
	if size > maxCounted {
		return 0, nil
	}
	err = c.eachSearch(ctx, parts, func([]byte) error {
		count++
		return nil
	})
	if unreadable := (*refusal)(nil); errors.As(err, &unreadable) {
		err = nil
	}
	return count, err
}

// searchParts lists the parts that were uploaded, in their order.
func (c *routes) searchParts(ctx context.Context, j job.Job) ([]files.Info, error) {
	if c.Files == nil {
		return nil, nil
	}
	list, err := c.Files.List(ctx, files.InputsFolder(j.Account, j.Kind, j.ID), files.MaxParts)
	if err != nil {
		return nil, fmt.Errorf("inputs of batch %s: %w", j.ID, err)
	}
	return slices.DeleteFunc(list, func(f files.Info) bool { return !strings.HasSuffix(f.Key, ".jsonl") }), nil
}

// eachSearch reads the searches of parts one after the other.
func (c *routes) eachSearch(ctx context.Context, parts []files.Info, take func(search []byte) error) error {
	for _, p := range parts {
		if err := c.eachRecord(ctx, p.Key, take); err != nil {
			return err
		}
	}
	return nil
}

// eachRecord reads a part line by line. Parts that were uploaded to where they
// lie were checked by nobody before.
func (c *routes) eachRecord(ctx context.Context, key string, take func(record []byte) error) error {
	part, _, err := c.Files.Open(ctx, key)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil // removed since it was listed
	}
	if err != nil {
		return fmt.Errorf("open inputs: %w", err)
	}
	defer part.Close()
	lines := jsonl.NewReader(part)
	for {
		line, err := lines.Next()
		var bad *jsonl.LineError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			return refuse(http.StatusBadRequest, "The searches of the batch cannot be read: %s, %v.", path.Base(key), bad)
		case err != nil:
			return fmt.Errorf("read inputs: %w", err)
		}
		if err := take(line); err != nil {
			return err
		}
	}
}
