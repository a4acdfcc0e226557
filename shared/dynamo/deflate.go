package dynamo

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"

	"github.com/jobhook/jobhook/shared/job"
)

// dictionary begins the window of the compressor: words of job records and
// answers, so that short texts become shorter too. Stored items need it as it
// is: a better one would get a version byte of its own.
const dictionary = `"text/html"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>` +
	`{"header":{"Content-Type":["application/json; charset=utf-8"],"Date":["Mon, 01 Jan 2026 00:00:00 GMT"],"Content-Length":["` +
	`"notification_as_jsonlines":false,"notification_as_json":true,"notification_as_csv":false,"notification_csv_fields":"",` +
	`"notification_webhook":"https://","searches_total":,"searches_completed":,"searches_failed":0,"started_at":"2026-,"ended_at":"2026-` +
	`"sitemap_id":,"sitemap_name":"my-sitemap","custom_id":"","jobs_scheduled":,"jobs_executed":,"jobs_failed":0,"jobs_empty":0,"stored_record_count":,"time_created":17` +
	`"webhooks":{"progress":"https://","result":"https://"},"options":{"progressVerbosityLevel":"info"},"activeNodes":[{"nodeName":"","algorithmName":"","batch":{"active":,"total":` +
	`"progress":,"details":"","result":[{"nodeName":"","algorithmName":"","result":` +
	`"result_set":{"id":1,"files":{"json":{"pages":["https://"],"all_pages":"https://"},"jsonlines":{"pages":["https://"]},"csv":{"pages":["https://` +
	`"result":{"datafile_url":"https://s3.amazonaws.com/"},"message":"","name":"","created_at":"2026-01-01T00:00:00.000Z","account":"","id":"","kind":"async","run":1,"status":"success"}` +
	`"kind":"scraping","kind":"pipeline","kind":"batch","status":"finished","status":"completed","status":"running","status":"idle"`

const packedWithDictionary = 1 // first byte of what is packed

// deflaters pack. One holds more than half a megabyte, so they are used again;
// they keep nothing of what they packed.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.DefaultCompression, []byte(dictionary))
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// pack deflates.
func pack(plain []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(plain)/2 + 64)
	b.WriteByte(packedWithDictionary)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(plain) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// maxUnpacked is more than anything that was packed: a record, or an attempt.
const maxUnpacked = 2 * job.MaxRecordBytes

// unpack inflates what pack made.
func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 || packed[0] != packedWithDictionary {
		return nil, fmt.Errorf("unpack: %d bytes were packed in no way that is known", len(packed))
	}
	r := inflaters.Get().(io.Reader)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(packed[1:]), []byte(dictionary)); err != nil {
		return nil, wrap(err, "unpack")
	}
	plain := bytes.NewBuffer(make([]byte, 0, 3*len(packed)+bytes.MinRead))
	_, err := plain.ReadFrom(io.LimitReader(r, maxUnpacked))
	return plain.Bytes(), wrap(err, "unpack")
}

// inflaters unpack. Their window is 32 KB, so they are used again.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}
