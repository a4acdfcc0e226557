package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

func TestTheResultsAreDownloadedAsCSVByALink(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	key := p.account("acme")
	p.call("PUT", "/v1/jobs/B-1", raw(`{"account":"acme","kind":"batch","status":"running","run":1,"name":"weekly","notification_as_csv":true}`), nil)
	p.call("POST", "/v1/jobs/B-1/runs/1/records", raw(`{"q":"pasta, fresh","hits":5}`), nil)
	b := newTab(t, p)
	folder := b.downloads()
	b.signIn(key)
	b.press("Jobs")
	b.press("B-1")
	b.sees("No files.")
	b.stay()
	p.call("PATCH", "/v1/jobs/B-1", raw(`{"status":"idle"}`), nil)
	b.sees("All records as CSV")
	b.stayed()
	b.press("All records as CSV")
	var files []string
	await(t, "the file", func() bool {
		files, _ = filepath.Glob(filepath.Join(folder, "*.csv")) // the pattern is good
		return len(files) == 1
	})
	got, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := "q,hits\r\n\"pasta, fresh\",5\r\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// downloads has the browser keep what it downloads, and returns the folder.
func (b *tab) downloads() string {
	b.t.Helper()
	folder := b.t.TempDir()
	ctx, cancel := b.within()
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID, DownloadPath: folder,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return folder
}
