package httpsend

import (
	"bytes"
	"crypto/tls"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jobhook/jobhook/shared/webhook"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is an HTTP/2 connection as a raw receiver sees it.
type frames struct {
	*http2.Framer
	conn io.ReadWriter
}

// http2Receiver greets with the settings and then behaves once the request's
// headers have come, on that stream.
func http2Receiver(t *testing.T, a *authority, settings []http2.Setting, behave func(f frames, stream uint32)) string {
	return rudeHTTP2Receiver(t, a, func(f frames) {
		f.WriteSettings(settings...)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if headers, ok := frame.(*http2.HeadersFrame); ok {
				behave(f, headers.StreamID)
				return
			}
		}
	})
}

// rudeHTTP2Receiver behaves without a greeting.
func rudeHTTP2Receiver(t *testing.T, a *authority, behave func(f frames)) string {
	config := a.config(t, nil)
	config.NextProtos = []string{"h2"}
	return listenTLS(t, config, func(c *tls.Conn) {
		if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
			return
		}
		f := frames{http2.NewFramer(c, c), c}
		f.AllowIllegalWrites = true
		behave(f)
	})
}

// answer writes an answer's headers, and END_STREAM if that is all.
func (f frames) answer(stream uint32, end bool, fields ...hpack.HeaderField) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(fields...), EndStream: end, EndHeaders: true})
}

// block packs header fields without the table, so that it can be repeated.
func block(fields ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range fields {
		field.Sensitive = true
		e.WriteField(field)
	}
	return b.Bytes()
}

// waitForClient reads until the client has closed.
func (f frames) waitForClient() { io.Copy(io.Discard, f.conn) }

func status(code string) hpack.HeaderField { return hpack.HeaderField{Name: ":status", Value: code} }

// repeat calls write until the client has closed. Whatever the client says
// meanwhile is read, so that it never waits for us.
func (f frames) repeat(write func() error) {
	var reading sync.WaitGroup
	reading.Go(f.waitForClient)
	defer reading.Wait()
	for write() == nil {
		runtime.Gosched()
	}
}

// drip calls write every few milliseconds until the client has closed.
func (f frames) drip(write func() error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	f.repeat(func() error { <-tick.C; return write() })
}

func hostileHTTP2(t *testing.T, a *authority) []hostile {
	receiver := func(behave func(f frames, stream uint32)) string { return http2Receiver(t, a, nil, behave) }
	ok := func(body string) webhook.Result { return webhook.Result{Status: 200, Body: []byte(body)} }
	many := bytes.Repeat(block(hpack.HeaderField{Name: "x-a", Value: "b"}), 100)
	return []hostile{
		{"HTTP/2: GOAWAY for the request", receiver(func(f frames, stream uint32) {
			f.WriteGoAway(stream, http2.ErrCodeNo, []byte("secret"))
		}), long, brokeOf},
		{"HTTP/2: GOAWAY with an error", receiver(func(f frames, stream uint32) {
			f.WriteGoAway(stream, http2.ErrCodeEnhanceYourCalm, nil)
			f.waitForClient()
		}), tight, late},
		{"HTTP/2: GOAWAY before every request", receiver(func(f frames, _ uint32) {
			f.WriteGoAway(0, http2.ErrCodeNo, nil)
			f.waitForClient()
		}), long, turnedAway},
		{"HTTP/2: RST_STREAM", receiver(func(f frames, stream uint32) {
			f.WriteRSTStream(stream, http2.ErrCodeInternal)
			f.waitForClient()
		}), long, brokeOf},
		{"HTTP/2: every stream refused", receiver(func(f frames, stream uint32) {
			for range 100 {
				f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
				stream += 2
			}
			f.waitForClient()
		}), tight, late},
		{"HTTP/2: RST_STREAM within the body", receiver(func(f frames, stream uint32) {
			f.answer(stream, false, status("200"))
			f.WriteRSTStream(stream, http2.ErrCodeInternal)
			f.waitForClient()
		}), long, brokeOf},
		{"HTTP/2: settings without end", receiver(func(f frames, _ uint32) { f.repeat(func() error { return f.WriteSettings() }) }), tight, late},
		{"HTTP/2: pings without end", receiver(func(f frames, _ uint32) { f.repeat(func() error { return f.WritePing(false, [8]byte{}) }) }), tight, late},
		{"HTTP/2: empty data without end", receiver(func(f frames, stream uint32) {
			f.answer(stream, false, status("200"))
			f.repeat(func() error { return f.WriteData(stream, false, nil) })
		}), tight, late},
		{"HTTP/2: garbage", receiver(func(f frames, _ uint32) { f.conn.Write(bytes.Repeat([]byte{0xff}, 1<<10)); f.waitForClient() }), long, notHTTP},
		{"HTTP/2: HTTP/1.1 instead", receiver(func(f frames, _ uint32) { io.WriteString(f.conn, "HTTP/1.1 200 OK\r\n\r\n"); f.waitForClient() }), long, notHTTP},
		{"HTTP/2: unknown frames without end", receiver(func(f frames, _ uint32) { f.repeat(func() error { return f.WriteRawFrame(0xee, 0, 0, nil) }) }), tight, late},
		{"HTTP/2: a pushed request", receiver(func(f frames, stream uint32) {
			f.WritePushPromise(http2.PushPromiseParam{StreamID: stream, PromiseID: 2, BlockFragment: block(status("200")), EndHeaders: true})
			f.waitForClient()
		}), long, notHTTP},
		{"HTTP/2: no stream allowed any more", receiver(func(f frames, _ uint32) {
			f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
			f.waitForClient()
		}), tight, late},
		{"HTTP/2: headers that go on without end", receiver(func(f frames, stream uint32) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(status("200"))})
			f.repeat(func() error { return f.WriteContinuation(stream, false, many) })
		}), long, notHTTP},
		{"HTTP/2: empty headers that go on without end", receiver(func(f frames, stream uint32) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(status("200"))})
			f.repeat(func() error { return f.WriteContinuation(stream, false, nil) })
		}), tight, late},
		{"HTTP/2: informational answers without end", receiver(func(f frames, stream uint32) {
			f.repeat(func() error { return f.answer(stream, false, status("103")) })
		}), long, brokeOf},
		{"HTTP/2: a body a byte at a time", receiver(func(f frames, stream uint32) {
			f.answer(stream, false, status("200"))
			f.drip(func() error { return f.WriteData(stream, false, []byte("x")) })
		}), tight, late},
		{"HTTP/2: a body without end", receiver(func(f frames, stream uint32) {
			f.answer(stream, false, status("200"))
			f.repeat(func() error { return f.WriteData(stream, false, bytes.Repeat([]byte("x"), 1<<10)) })
		}), long, ok(strings.Repeat("x", webhook.MaxBodyRead))},
		{"HTTP/2: more than the window", receiver(func(f frames, stream uint32) {
			f.answer(stream, false, status("200"), hpack.HeaderField{Name: "content-length", Value: "2"})
			f.WriteData(stream, true, []byte("too long"))
			f.waitForClient()
		}), long, notHTTP},
		{"HTTP/2: an answer to a stream that nobody opened", receiver(func(f frames, stream uint32) {
			f.answer(stream+2, true, status("200"))
			f.waitForClient()
		}), tight, late},
	}
}

// A retry costs the receiver nothing and us a handshake.
func TestReceiverThatTurnsAwayEveryConnectionCannotHaveManyOpened(t *testing.T) {
	a := newAuthority(t)
	var connections atomic.Int32
	url := http2Receiver(t, a, nil, func(f frames, _ uint32) {
		connections.Add(1)
		f.WriteGoAway(0, http2.ErrCodeNo, nil)
		f.waitForClient()
	})
	c := newClient(t, Options{})
	c.trust(a.cert)
	got, _ := post(t, c, url)
	// At most three may be opened. One time in a hundred, under load, the transport
	// gives up after two, also when they are counted where they are dialled.
	if n := connections.Load(); !cmp.Equal(got, turnedAway) || n < 2 || n > 3 {
		t.Errorf("result %+v after requests on %d connections, want %+v after 2 or 3", got, n, turnedAway)
	}
}

// Whether our request or its settings come first is chance.
func TestReceiverThatAllowsNoStreamGetsNoMoreThanItsTimeout(t *testing.T) {
	a := newAuthority(t)
	none := http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0}
	url := http2Receiver(t, a, []http2.Setting{none}, func(f frames, _ uint32) { f.waitForClient() })
	c := newClient(t, Options{})
	c.trust(a.cert)
	got, _ := c.Post(t.Context(), webhook.Request{URL: url, Timeout: tight})
	if got.Detail = ""; !cmp.Equal(got, late) && got.Failure != turnedAway.Failure {
		t.Errorf("result %+v, want %+v or %+v", got, late, turnedAway)
	}
}
