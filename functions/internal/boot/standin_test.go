package boot_test

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/awstest"
)

// standIn answers for DynamoDB from memory what deliver asks in each batch: it
// reads what DynamoDB Local holds when it is made, and only counts what is
// written, unseen: the suite of the store looks at that. All else it passes on.
// DynamoDB Local takes more of a machine's processors than all others together,
// and their caches with them; AWS's is not on the same machine.
type standIn struct {
	*httptest.Server
	wait     time.Duration // before each answer of its own
	items    map[itemKey]json.RawMessage
	inserted atomic.Int64 // rows
	writes   atomic.Int64 // requests for them
}

type itemKey struct {
	PK struct{ S string } `json:"pk"`
	SK struct{ S string } `json:"sk"`
}

func newStandIn(t testing.TB, table string, wait time.Duration) *standIn {
	t.Helper()
	database := awstest.DynamoDB(t)
	behind, err := url.Parse(database.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{wait: wait, items: map[itemKey]json.RawMessage{}}
	s.read(t, database.Config(), table)
	others := httputil.NewSingleHostReverseProxy(behind)
	own := map[string]func(io.Reader) ([]byte, error){"BatchGetItem": s.get, "BatchExecuteStatement": s.insert, "PutItem": s.put}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer := own[operation]
		if answer == nil {
			others.ServeHTTP(w, r)
			return
		}
		time.Sleep(s.wait)
		b, err := answer(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s
}

// read reads a table, item by item as they look on the wire.
func (s *standIn) read(t testing.TB, config aws.Config, table string) {
	t.Helper()
	answer := &lastAnswer{}
	config.HTTPClient = answer
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(config), &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		if _, err := pages.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
		var page struct{ Items []json.RawMessage }
		if err := json.Unmarshal(answer.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			var k itemKey
			if err := json.Unmarshal(i, &k); err != nil {
				t.Fatal(err)
			}
			s.items[k] = i
		}
	}
}

// get answers a BatchGetItem.
func (s *standIn) get(body io.Reader) ([]byte, error) {
	var in struct {
		RequestItems map[string]struct{ Keys []itemKey }
	}
	if err := json.NewDecoder(body).Decode(&in); err != nil {
		return nil, err
	}
	var out struct {
		Responses       map[string][]json.RawMessage
		UnprocessedKeys struct{}
	}
	out.Responses = map[string][]json.RawMessage{}
	for table, asked := range in.RequestItems {
		found := []json.RawMessage{}
		for _, k := range asked.Keys {
			if i := s.items[k]; i != nil {
				found = append(found, i)
			}
		}
		out.Responses[table] = found
	}
	return json.Marshal(out)
}

// insert answers a BatchExecuteStatement.
func (s *standIn) insert(body io.Reader) ([]byte, error) {
	var in struct{ Statements []json.RawMessage }
	if err := json.NewDecoder(body).Decode(&in); err != nil {
		return nil, err
	}
	s.inserted.Add(int64(len(in.Statements)))
	s.writes.Add(1)
	return json.Marshal(map[string]any{"Responses": make([]struct{}, len(in.Statements))})
}

// put answers a PutItem: a row that had no company.
func (s *standIn) put(body io.Reader) ([]byte, error) {
	s.inserted.Add(1)
	s.writes.Add(1)
	_, err := io.Copy(io.Discard, body)
	return []byte("{}"), err
}

// report tells how many rows a write had. All that were sent must be recorded.
func (s *standIn) report(b *testing.B, sent int) {
	if got := int(s.inserted.Load()); got != sent {
		b.Errorf("%d of %d deliveries are recorded", got, sent)
	}
	b.ReportMetric(float64(sent)/float64(s.writes.Load()), "rows/write")
}

// lastAnswer is an HTTP client that keeps the body of the last answer.
type lastAnswer struct{ body []byte }

func (l *lastAnswer) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if l.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(l.body))
	return resp, nil
}
