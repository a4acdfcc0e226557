package sqsqueue_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// oneByOne sends requests one after the other. As one that waits for messages
// would hold up those that send some, it plays the wait by asking again.
type oneByOne struct {
	next aws.HTTPClient
	mu   sync.Mutex
}

func (o *oneByOne) Do(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Amz-Target") != "AmazonSQS.ReceiveMessage" {
		return o.do(r)
	}
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	wait, _ := in["WaitTimeSeconds"].(float64)
	delete(in, "WaitTimeSeconds")
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	for end := time.Now().Add(time.Duration(wait) * time.Second); ; {
		answer, err := o.receive(r, body)
		if err != nil || answer.ContentLength > int64(len(`{"Messages":[]}`)) || time.Now().After(end) {
			return answer, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// receive asks once. The answer is whole in memory, with its length.
func (o *oneByOne) receive(r *http.Request, body []byte) (*http.Response, error) {
	ask := r.Clone(r.Context())
	ask.Body, ask.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer, err := o.do(ask)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(read)), int64(len(read))
	return answer, err
}

func (o *oneByOne) do(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next.Do(r)
}
