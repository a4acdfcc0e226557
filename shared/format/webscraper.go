package format

import (
	"net/url"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// webScraper is the notification of Web Scraper Cloud: a form, sent when a
// scraping job has ended in any way. Its page gives the timeout and the delay.
func webScraper() Format {
	return Format{
		Name:  WebScraper,
		Kind:  job.KindScraping,
		Types: []webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.JobStopped},
		Policy: webhook.Policy{
			Success:  webhook.Success2xx,
			RetryOn:  webhook.RetryAnyError,
			Timeout:  10 * time.Second,
			Schedule: webhook.Fixed(5, 30*time.Second),
		},
		contentType: contentForm,
		encode:      encodeWebScraper,
	}
}

func encodeWebScraper(_ webhook.Event, j job.Job, _ string) ([]byte, error) {
	s, err := j.Scraping()
	if err != nil {
		return nil, err
	}
	var f form
	f.add("scrapingjob_id", j.ID)
	f.add("status", string(j.Status))
	f.add("sitemap_id", s.SitemapID.String())
	f.add("sitemap_name", s.SitemapName)
	if s.CustomID != "" {
		f.add("custom_id", s.CustomID.String())
	}
	return f, nil
}

// form is an encoded form whose fields keep their order, which url.Values
// sorts by name.
type form []byte

func (f *form) add(name, value string) {
	if len(*f) > 0 {
		*f = append(*f, '&')
	}
	*f = append(*f, url.QueryEscape(name)+"="+url.QueryEscape(value)...)
}
