package main

import (
	"bytes"
	"fmt"
	"strings"
)

// messageBytes is the length of a job's message. It makes the signed standard
// body 1 KiB, give or take a port number.
const messageBytes = 742

// request is a job change ready to be sent, but for the job's id and account.
// Each connection has its own.
type request struct {
	bytes     []byte
	idAt      int
	accountAt int
}

const (
	idPlace      = "00000000-0000-0000-0000-000000000000"
	accountPlace = "bench-000"
)

// newRequest renders the PUT of a job that has ended already: one change that
// leads to one event.
func newRequest(host, key string) *request {
	record := jobRecord(accountPlace, "")
	b := fmt.Appendf(nil, "PUT /v1/jobs/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", idPlace, host, key, len(record), record)
	return &request{bytes: b, idAt: bytes.Index(b, []byte(idPlace)), accountAt: bytes.Index(b, []byte(accountPlace))}
}

// of returns the request of change number i, for the given account. It is
// valid until the next call.
func (r *request) of(i, account int) []byte {
	putID(r.bytes[r.idAt:r.idAt+idLength], i)
	digits := r.bytes[r.accountAt+len("bench-"):]
	digits[0], digits[1], digits[2] = byte('0'+account/100%10), byte('0'+account/10%10), byte('0'+account%10)
	return r.bytes
}

// accountName is the name that of writes.
func accountName(account int) string { return fmt.Sprintf("bench-%03d", account) }

// jobRecord is the record of an ended job. With an id it is whole, as the store
// keeps it.
func jobRecord(account, id string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return fmt.Sprintf(`{"account":"%s",%s"kind":"async","status":"success","message":"%s"}`, account, id, text(messageBytes))
}

// text returns n bytes of plain prose.
func text(n int) string {
	const sentence = "The collection of public profiles has ended and its data file can be fetched now. "
	return strings.Repeat(sentence, n/len(sentence)+1)[:n]
}
