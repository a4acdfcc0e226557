package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The little of HTTP/1.1 (RFC 9112) that both sides of this bench need.
// Neither pipelines, so what is behind a message belongs to it.

var (
	headEnd       = []byte("\r\n\r\n")
	lengthHeader  = []byte("\r\nContent-Length: ")
	chunkedHeader = []byte("\r\nTransfer-Encoding: chunked")
	lastChunk     = []byte("0\r\n\r\n")
)

var errMessage = errors.New("it is no HTTP/1.1 message that this bench understands")

// message splits a message into head and body, in the spelling of net/http. It
// reports false while bytes are missing. A chunked body is returned with its
// chunk sizes.
func message(b []byte) (head, body []byte, whole bool, err error) {
	at := bytes.Index(b, headEnd)
	if at < 0 {
		return nil, nil, false, nil
	}
	head, body = b[:at], b[at+len(headEnd):]
	if bytes.Contains(head, chunkedHeader) {
		return head, body, bytes.HasSuffix(body, lastChunk), nil
	}
	size, err := contentLength(head)
	if err != nil || len(body) < size {
		return nil, nil, false, err
	}
	return head, body[:size], true, nil
}

// contentLength is 0 where there is no such header, as in a 204.
func contentLength(head []byte) (int, error) {
	value := header(head, lengthHeader)
	if value == nil {
		return 0, nil
	}
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("Content-Length %.20q: %w", value, errMessage)
	}
	return n, nil
}

// header returns the value behind a name that is written as "\r\nName: ".
func header(head, name []byte) []byte {
	at := bytes.Index(head, name)
	if at < 0 {
		return nil
	}
	value := head[at+len(name):]
	if end := bytes.IndexByte(value, '\r'); end >= 0 {
		value = value[:end]
	}
	return value
}

// status returns the status code of an answer's head.
func status(head []byte) (int, error) {
	if len(head) < 12 || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) {
		return 0, errMessage
	}
	code, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return 0, errMessage
	}
	return code, nil
}
