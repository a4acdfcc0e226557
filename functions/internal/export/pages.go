package export

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
)

// layout says how records become the files of one format.
type layout struct {
	format             string // as job.ResultSet names it
	head, between, end string // of a page
	write              func(b, record []byte) []byte
}

// layoutOf returns the layout of JSON and of JSON Lines.
func layoutOf(format string) layout {
	if format == job.FilesJSON {
		return layout{format: format, head: "[\n", between: ",\n", end: "\n]\n", write: func(b, record []byte) []byte { return append(b, record...) }}
	}
	return layout{format: format, write: func(b, record []byte) []byte { return append(append(b, record...), '\n') }}
}

// export writes all files of a run and notes in its set what they are. It reads
// the records once to check and count them, and once more for each format.
func (h *Handler) export(ctx context.Context, r *run) error {
	parts, err := h.Files.List(ctx, files.RecordsFolder(r.Account, r.Kind, r.JobID, r.Run), files.MaxParts)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if len(parts) == 0 {
		return refusal{"records: no part of them was uploaded, or they have been removed since"}
	}
	table, err := tableOf(r.job)
	if err != nil {
		return err
	}
	found, err := newReading(h.Files, parts, false).each(ctx, table.survey)
	if err != nil {
		return err
	}
	if table.leftOut > 0 {
		h.log().WarnContext(ctx, "export.columns_left_out", "job", r.JobID, "run", r.Run, "values", table.leftOut, "first", table.firstOut)
	}
	r.set.Records, r.set.Pages = found.records, (found.records+job.PageRecords-1)/job.PageRecords
	r.set.CSVHash, r.set.Bytes = table.hash(), 0
	for _, l := range []layout{layoutOf(job.FilesJSON), layoutOf(job.FilesJSONLines), table.layout()} {
		b := h.bind(ctx, r, l)
		read, err := newReading(h.Files, parts, true).each(ctx, b.add)
		if err == nil && read != found {
			err = errChanged
		}
		if err = b.close(err); err != nil {
			return fmt.Errorf("%s: %w", l.format, err)
		}
		r.set.Bytes += b.bytes
	}
	return nil
}

// book is the files of one format while they are written: the page that is
// open, and all pages together.
type book struct {
	layout
	upload  func(page int) *upload
	page    *upload // nil before the first
	all     *upload
	bundle  bundle
	row     []byte
	records int
	bytes   int64
}

func (h *Handler) bind(ctx context.Context, r *run, l layout) *book {
	names := job.ResultSet{ID: r.Run, CSVHash: r.set.CSVHash}
	name := func(page int) string { return names.FileName(r.Kind, r.JobID, l.format, page) }
	folder := files.ResultsFolder(r.Account, r.Kind, r.JobID, r.Run)
	b := &book{layout: l, upload: func(page int) *upload {
		return newUpload(ctx, h.Files, folder+name(page), files.Meta{ContentType: files.ContentType(name(page)), FileName: name(page)})
	}}
	b.all = b.upload(0)
	b.bundle = newBundle(b.all, name, l, r.event.At)
	return b
}

// newBundle puts pages into a zip where the name of all pages says so, else
// one after the other.
func newBundle(w io.Writer, name func(page int) string, l layout, at time.Time) bundle {
	if strings.HasSuffix(name(0), ".zip") {
		return newArchive(w, name, at)
	}
	return &scroll{Writer: w, head: l.head}
}

// bundle is all pages together.
type bundle interface {
	io.Writer
	// begin begins a page, counted from 1, with what stands at its head.
	begin(page int, head string) error
	// end ends a page with what stands at its end.
	end(tail string) error
	// close ends the whole.
	close() error
}

// add writes one record to its page and to all pages.
func (b *book) add(record []byte) error {
	if b.records%job.PageRecords == 0 {
		if err := b.turn(); err != nil {
			return err
		}
	} else if err := b.put([]byte(b.between)); err != nil {
		return err
	}
	b.records++
	b.row = b.write(b.row[:0], record)
	return b.put(b.row)
}

func (b *book) put(p []byte) error {
	if _, err := b.page.Write(p); err != nil {
		return err
	}
	_, err := b.bundle.Write(p)
	return err
}

// turn ends the open page and begins the next.
func (b *book) turn() error {
	if err := b.endPage(); err != nil {
		return err
	}
	page := b.records/job.PageRecords + 1
	b.page = b.upload(page)
	if _, err := io.WriteString(b.page, b.head); err != nil {
		return err
	}
	return b.bundle.begin(page, b.head)
}

func (b *book) endPage() error {
	if b.page == nil {
		return nil
	}
	if _, err := io.WriteString(b.page, b.layout.end); err != nil {
		return err
	}
	if err := b.page.close(); err != nil {
		return err
	}
	b.bytes += b.page.bytes
	return b.bundle.end(b.layout.end)
}

// close ends all files, or, after an error, gives up those that are open.
func (b *book) close(err error) error {
	if err == nil {
		err = b.endPage()
	}
	if err == nil {
		err = b.bundle.close()
	}
	if err == nil {
		err = b.all.close()
	}
	if err != nil {
		b.page.abandon(err)
		b.all.abandon(err)
		return err
	}
	b.bytes += b.all.bytes
	return nil
}
