package httpsend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// errSwitched: the receiver answered 101, which nobody had asked for
// (RFC 9110, section 15.2.2).
var errSwitched = errors.New("switched protocols unasked")

// failure explains why a request got no answer. Details are sentences of our
// own, under 200 bytes: errors quote URLs, addresses and what the receiver sent.
func (x *exchange) failure(caller context.Context, err error) webhook.Result {
	at, now := x.reached(), time.Now()
	switch {
	case caller.Err() != nil, ended(caller, now):
		return failed(webhook.FailureReset, "ECANCELED", "cancelled on our side")
	case x.Err() != nil, ended(x, now):
		return timedOut(at, x.deadline.Sub(x.start))
	case at == stepStart:
		return failed(webhook.FailureUnsendable, "", "the URL or a header cannot be sent")
	}
	return explain(err)
}

// ended tells whether a context's deadline has passed: the network may notice
// a moment before the context does.
func ended(ctx context.Context, now time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && !now.Before(deadline)
}

// timedOut says at which step the time ran out. Waiting for a socket is our
// own fault, so it is no timeout of the receiver's; name servers that do not
// answer are no different from those that answer with an error.
func timedOut(at step, limit time.Duration) webhook.Result {
	if at == stepSocket {
		return failed(webhook.FailureOurs, "EMFILE", "no free connection on our side")
	}
	within := " within " + limit.Round(time.Millisecond).String()
	if at == stepResolve {
		return failed(webhook.FailureDNS, "EAI_AGAIN", "no address from DNS"+within)
	}
	missing := map[step]string{
		stepConnect:   "no connection",
		stepHandshake: "no TLS handshake",
		stepSend:      "the request was not taken",
		stepHead:      "the answer's headers did not end",
		stepBody:      "the answer's body did not end",
	}[at]
	if missing == "" {
		missing = "no answer"
	}
	return failed(webhook.FailureTimeout, "ETIMEDOUT", missing+within)
}

// explain names an error that is neither a timeout of ours nor a cancellation.
// What the network has no name for is the receiver's bad HTTP.
func explain(err error) webhook.Result {
	var dns *net.DNSError
	var handshake handshakeError
	var op *net.OpError
	switch {
	case errors.Is(err, ErrRefusedAddress):
		return failed(webhook.FailureRefusedAddress, "", ErrRefusedAddress.Error())
	case errors.Is(err, ErrRefusedPort):
		return failed(webhook.FailureRefusedAddress, "", ErrRefusedPort.Error())
	case errors.Is(err, errTurnedAway):
		return failed(webhook.FailureReset, "ECONNRESET", "the receiver took no request on the connections it accepted")
	case errors.As(err, &dns) && dns.IsNotFound:
		return failed(webhook.FailureDNS, "ENOTFOUND", "the host has no address")
	case errors.As(err, &dns):
		return failed(webhook.FailureDNS, "EAI_AGAIN", "the host's name servers do not answer")
	case errors.As(err, &handshake):
		return explainTLS(handshake.error)
	}
	if r, ok := explainErrno(err); ok {
		return r
	}
	isOp := errors.As(err, &op)
	switch {
	case isOp && (op.Op == "remote error" || op.Op == "local error"): // a TLS alert after the handshake
		return explainTLS(err)
	case isOp && op.Timeout():
		return failed(webhook.FailureTimeout, "ETIMEDOUT", "the network timed out")
	case isOp && op.Op == "dial":
		return failed(webhook.FailureConnect, "", "no connection")
	case isOp, brokeOff(err):
		return failed(webhook.FailureReset, "ECONNRESET", "the connection closed before the answer ended")
	case errors.Is(err, errSwitched):
		return failed(webhook.FailureProtocol, "EPROTO", "the receiver switched protocols unasked")
	}
	return failed(webhook.FailureProtocol, "EPROTO", "the answer is no valid HTTP, or its headers exceed 64 KiB")
}

// brokeOff tells whether the receiver closed in the middle. net/http keeps
// some of these errors to itself, so they are known by their text.
func brokeOff(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	text := err.Error()
	for _, known := range [...]string{
		"server closed idle connection", // errServerClosedIdle
		"stream error: ",                // http2StreamError: RST_STREAM
		"server sent GOAWAY",            // http2GoAwayError
		"client connection lost",        // HTTP/2: a ping without answer
	} {
		if strings.Contains(text, known) {
			return true
		}
	}
	return false
}

// explainErrno names the system's own errors. Those of ours (no descriptors,
// no ports) count as a reset: they must not speak against the receiver's host.
func explainErrno(err error) (webhook.Result, bool) {
	for _, e := range [...]struct {
		errno   syscall.Errno
		code    string
		failure webhook.Failure
		detail  string
	}{
		{syscall.ECONNREFUSED, "ECONNREFUSED", webhook.FailureConnect, "connection refused"},
		{syscall.EHOSTUNREACH, "EHOSTUNREACH", webhook.FailureConnect, "no route to the host"},
		{syscall.ENETUNREACH, "ENETUNREACH", webhook.FailureConnect, "no route to the network"},
		{syscall.EACCES, "EACCES", webhook.FailureConnect, "the network forbids the connection"},
		{syscall.EPERM, "EPERM", webhook.FailureConnect, "the network forbids the connection"},
		{syscall.ETIMEDOUT, "ETIMEDOUT", webhook.FailureTimeout, "the network timed out"},
		{syscall.ECONNRESET, "ECONNRESET", webhook.FailureReset, "connection reset by the receiver"},
		{syscall.ECONNABORTED, "ECONNABORTED", webhook.FailureReset, "connection aborted"},
		{syscall.EPIPE, "EPIPE", webhook.FailureReset, "the receiver closed the connection"},
		{syscall.EMFILE, "EMFILE", webhook.FailureOurs, "no free connection on our side"},
		{syscall.ENFILE, "ENFILE", webhook.FailureOurs, "no free connection on our side"},
		{syscall.ENOBUFS, "ENOBUFS", webhook.FailureOurs, "no free connection on our side"},
		{syscall.EADDRNOTAVAIL, "EADDRNOTAVAIL", webhook.FailureOurs, "no free connection on our side"},
	} {
		if errors.Is(err, e.errno) {
			return failed(e.failure, e.code, e.detail), true
		}
	}
	return webhook.Result{}, false
}

// explainTLS uses the codes of Node.js, which customers know from their logs
// (https://nodejs.org/api/tls.html#x509-certificate-error-codes).
func explainTLS(err error) webhook.Result {
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	code, detail := "EPROTO", "the TLS handshake failed"
	switch {
	case errors.As(err, &host):
		code, detail = "ERR_TLS_CERT_ALTNAME_INVALID", "the certificate is for another host"
	case errors.As(err, &authority):
		code, detail = "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "the certificate's issuer is not trusted, or its chain is incomplete"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		code, detail = "CERT_HAS_EXPIRED", "the certificate has expired or is not valid yet"
	case errors.As(err, &invalid):
		code, detail = "CERT_REJECTED", "the certificate is not valid for a server"
	case errors.As(err, &record):
		detail = "the port does not speak TLS"
	case strings.Contains(err.Error(), "protocol version"): // their alert, or our refusal of their choice
		detail = "the receiver speaks no TLS of version 1.2 or newer"
	}
	return failed(webhook.FailureTLS, code, detail)
}

func failed(f webhook.Failure, code, detail string) webhook.Result {
	return webhook.Result{Failure: f, Code: code, Detail: detail}
}
