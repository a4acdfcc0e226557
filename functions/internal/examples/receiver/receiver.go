// Receiver is a whole program that receives Jobhook's webhooks, to copy and to
// go on from:
//
//	go mod init receiver
//	go get github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1
//	WEBHOOK_SECRET=whsec_... go run receiver.go
//
// WEBHOOK_SECRET is the endpoint's secret ("whsec_...") or its public key
// ("whpk_..."); two of them, with a space between, while you change them. PORT
// is 3000 unless you say otherwise; 0 takes a free one.
package main

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	maxBody   = 1 << 20
	maxQueued = 1000
	tolerance = 5 * time.Minute
	timeout   = 10 * time.Second // to read a request
	minSecret = 24               // bytes; the library takes even an empty secret, which anybody can sign with
)

func main() {
	keys, err := newKeys(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal("WEBHOOK_SECRET: ", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"))
	if err != nil {
		log.Fatal(err)
	}
	box := &inbox{seen: map[string]bool{}, queue: make(chan message, maxQueued)}
	go box.work()
	fmt.Println("listening on", listener.Addr())
	server := http.Server{Handler: receiver(keys, box), ReadTimeout: timeout}
	log.Fatal(server.Serve(listener))
}

// receiver answers before the work begins: what takes longer than the
// endpoint's timeout counts as failed and comes again.
func receiver(keys []key, box *inbox) http.Handler {
	receive := func(w http.ResponseWriter, r *http.Request) int {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		switch {
		case err != nil:
			return http.StatusRequestEntityTooLarge
		case !verified(keys, r.Header, body):
			return http.StatusUnauthorized
		case !box.take(message{id: r.Header.Get("webhook-id"), body: body}):
			return http.StatusServiceUnavailable // it comes again later
		}
		return http.StatusNoContent
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(receive(w, r)) })
	return mux
}

// key is a *standardwebhooks.Webhook or a publicKey.
type key interface {
	Verify(body []byte, header http.Header) error
}

// snippet begin

// newKey reads an endpoint's secret (HMAC) or its public key (ed25519).
func newKey(s string) (key, error) {
	if public, ok := strings.CutPrefix(s, "whpk_"); ok {
		return newPublicKey(public)
	}
	return standardwebhooks.NewWebhook(s)
}

// verified tells whether one of the keys signed the webhook, no more than five
// minutes ago. The body is what came, byte for byte, and not yet parsed.
func verified(keys []key, header http.Header, body []byte) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return k.Verify(body, header) == nil })
}

// snippet end

// newKeys reads one key or more; its errors do not show them.
func newKeys(list string) ([]key, error) {
	var keys []key
	for i, s := range strings.Fields(list) {
		secret, isSecret := strings.CutPrefix(s, "whsec_")
		if isSecret && base64.StdEncoding.DecodedLen(len(secret)) < minSecret || !isSecret && !strings.HasPrefix(s, "whpk_") {
			return nil, fmt.Errorf("key %d is neither whsec_ and a secret nor whpk_ and a public key", i+1)
		}
		k, err := newKey(s)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("set it to the endpoint's secret (whsec_...) or public key (whpk_...)")
	}
	return keys, nil
}

// publicKey verifies ed25519 signatures (v1a), which the library passes over.
type publicKey ed25519.PublicKey

func newPublicKey(encoded string) (publicKey, error) {
	k, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(k) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("a public key is whpk_ and %d bytes in base64", ed25519.PublicKeySize)
	}
	return k, nil
}

// Verify does what the library's does for a secret.
func (k publicKey) Verify(body []byte, header http.Header) error {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("webhook-timestamp is missing or too far from now")
	}
	content := slices.Concat([]byte(id+"."+timestamp+"."), body)
	for _, s := range strings.Fields(header.Get("webhook-signature")) {
		version, encoded, _ := strings.Cut(s, ",")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && version == "v1a" && ed25519.Verify(ed25519.PublicKey(k), content, signature) {
			return nil
		}
	}
	return errors.New("no signature matches")
}

// message is a verified webhook.
type message struct {
	id   string
	body []byte
}

// inbox drops what it has had, by webhook-id, and keeps the rest for the work.
// Here it lies in memory, grows, and ends with the program. Its real place is a
// table of your database with the id as primary key, into which you write id and
// body before you answer, and from which the work reads.
type inbox struct {
	mu    sync.Mutex
	seen  map[string]bool
	queue chan message
}

// take reports false when there is no room; the webhook is then not seen yet.
func (b *inbox) take(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[m.id] {
		return true
	}
	select {
	case b.queue <- m:
		b.seen[m.id] = true
		return true
	default:
		return false
	}
}

func (b *inbox) work() {
	for m := range b.queue {
		fmt.Printf("handled %s %s\n", m.id, m.body) // your work goes here
	}
}
