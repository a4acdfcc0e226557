package export

import (
	"archive/zip"
	"errors"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
)

// compression is the level that takes little time for files about as small as
// those of the standard library's default: 1 % larger.
const compression = 3

var errNoPage = errors.New("no page was begun")

// archive is a zip with a file for each page. Running twice gives the same
// bytes: its files are dated to when the run ended.
type archive struct {
	zip  *zip.Writer
	name func(page int) string
	at   time.Time
	page io.Writer
}

// newArchive compresses by klauspost's flate, at four times the speed of the
// standard library's; the format itself is the standard library's, as klauspost's
// zip is a copy of it.
func newArchive(w io.Writer, name func(page int) string, at time.Time) *archive {
	a := &archive{zip: zip.NewWriter(w), name: name, at: at.UTC().Truncate(time.Second)}
	var kept *flate.Writer // its tables are large, and the same for every page
	a.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (_ io.WriteCloser, err error) {
		if kept != nil {
			kept.Reset(w)
			return kept, nil
		}
		kept, err = flate.NewWriter(w, compression)
		return kept, err
	})
	return a
}

func (a *archive) begin(page int, head string) (err error) {
	a.page, err = a.zip.CreateHeader(&zip.FileHeader{Name: a.name(page), Method: zip.Deflate, Modified: a.at})
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.page, head)
	return err
}

// Write adds to the page that was begun last.
func (a *archive) Write(p []byte) (int, error) {
	if a.page == nil {
		return 0, errNoPage
	}
	return a.page.Write(p)
}

func (a *archive) end(tail string) error {
	_, err := io.WriteString(a, tail)
	return err
}

func (a *archive) close() error { return a.zip.Close() }

// scroll is all pages one after the other, with one head. Layouts whose pages
// need an end have archives.
type scroll struct {
	io.Writer
	head  string
	begun bool
}

func (s *scroll) begin(int, string) error {
	if s.begun {
		return nil
	}
	s.begun = true
	_, err := io.WriteString(s.Writer, s.head)
	return err
}

func (*scroll) end(string) error { return nil }

// close writes the head of a scroll without pages, so that a CSV of no records
// still names its columns.
func (s *scroll) close() error { return s.begin(0, "") }
