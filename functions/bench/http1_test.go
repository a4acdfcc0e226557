package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

func TestMessageIsWholeWhenItsBodyIs(t *testing.T) {
	tests := []struct {
		name, text string
		whole      bool
		body       string
	}{
		{"nothing", "", false, ""},
		{"half a head", "HTTP/1.1 201 Created\r\nContent-Le", false, ""},
		{"no body yet", "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n", false, ""},
		{"half a body", "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\nab", false, ""},
		{"whole", "HTTP/1.1 201 Created\r\nX: y\r\nContent-Length: 4\r\nZ: 1\r\n\r\nabcd", true, "abcd"},
		{"without a body", "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", true, ""},
		{"chunks to come", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false, ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true, "2\r\nab\r\n0\r\n\r\n"},
	}
	for _, tt := range tests {
		_, body, whole, err := message([]byte(tt.text))
		if err != nil || whole != tt.whole || whole && string(body) != tt.body {
			t.Errorf("%s: got %q, %t, %v, want %q, %t", tt.name, body, whole, err, tt.body, tt.whole)
		}
	}
}

func TestMessageWithAnImpossibleLengthIsRefused(t *testing.T) {
	for _, length := range []string{"x", "-1", ""} {
		_, _, _, err := message([]byte("HTTP/1.1 200 OK\r\nContent-Length: " + length + "\r\n\r\n"))
		if err == nil {
			t.Errorf("length %q: got no error", length)
		}
	}
}

func TestStatusOfAnAnswer(t *testing.T) {
	tests := []struct {
		head string
		want int
	}{
		{"HTTP/1.1 200 OK\r\nX: y", 200},
		{"HTTP/1.1 503", 503},
		{"HTTP/1.1 2", 0},
		{"HTTP/1.0 200 OK", 0},
		{"HTTP/1.1 abc", 0},
	}
	for _, tt := range tests {
		if got, err := status([]byte(tt.head)); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%q: got %d, %v, want %d", tt.head, got, err, tt.want)
		}
	}
}

func TestHeaderIsReadAsNetHTTPWritesIt(t *testing.T) {
	req, err := http.NewRequest("POST", "http://e.example/hook", bytes.NewReader([]byte("body")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", "evt_1")
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		t.Fatal(err)
	}
	head, body, whole, err := message(wire.Bytes())
	if err != nil || !whole || string(body) != "body" {
		t.Fatalf("got %q, %t, %v, want the body", body, whole, err)
	}
	if got := header(head, idHeader); string(got) != "evt_1" {
		t.Errorf("got %q, want evt_1", got)
	}
}

func TestAnswersAreHTTP(t *testing.T) {
	for text, want := range map[string]int{string(answerOK): 200, string(answer500): 500} {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader([]byte(text))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 || resp.StatusCode != want {
			t.Errorf("got %d with body %q, %v, want %d", resp.StatusCode, body, err, want)
		}
	}
}
