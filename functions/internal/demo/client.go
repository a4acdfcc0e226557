package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client calls the product's API.
type client struct {
	base string
	key  string
	http *http.Client
}

func newClient(base, key string) *client {
	// A transport of its own: no proxy stands between the demo and its API.
	return &client{base: strings.TrimRight(base, "/"), key: key,
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// call sends in, unless it is nil, and reads the answer into out, unless that
// is nil. A status of 400 or more is an error with what the API says of it.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	return c.send(ctx, method, path, "application/json", body, out)
}

// upload posts a body that is written already.
func (c *client) upload(ctx context.Context, path, contentType string, body []byte) error {
	return c.send(ctx, http.MethodPost, path, contentType, bytes.NewReader(body), nil)
}

// has tells whether there is something to download, without a key.
func (c *client) has(path string) bool {
	resp, err := c.http.Head(c.base + path)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK && resp.ContentLength > 0
}

func (c *client) send(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err // it names method and URL
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil {
		err = understand(resp.StatusCode, answer, out)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func understand(status int, body []byte, out any) error {
	if status >= 400 {
		return problemOf(status, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// problemOf puts an application/problem+json answer in one line.
func problemOf(status int, body []byte) error {
	var p struct {
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Problem string `json:"problem"`
			Cure    string `json:"cure"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return fmt.Errorf("answered %d: %.200s", status, body)
	}
	text := p.Detail
	for _, e := range p.Errors {
		text += fmt.Sprintf(" %s: %s; %s.", e.Field, e.Problem, e.Cure)
	}
	return fmt.Errorf("answered %d: %s", status, text)
}
