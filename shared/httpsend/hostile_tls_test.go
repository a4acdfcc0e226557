package httpsend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// authority signs the certificates of receivers under test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}}
	a.cert = a.sign(t, a.cert)
	return a
}

func (a *authority) sign(t *testing.T, c *x509.Certificate) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// config is a server's: a certificate for 127.0.0.1 that change may spoil.
func (a *authority) config(t *testing.T, change func(*x509.Certificate)) *tls.Config {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "receiver"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, c).Raw}, PrivateKey: a.key}}}
}

// listenTLS is listen behind a TLS handshake.
func listenTLS(t *testing.T, config *tls.Config, behave func(*tls.Conn)) string {
	url := listen(t, func(c conn) {
		server := tls.Server(c.TCPConn, config)
		if server.Handshake() == nil {
			behave(server)
		}
	})
	return strings.Replace(url, "http:", "https:", 1)
}

func hostileTLS(t *testing.T, a *authority) []hostile {
	wait := func(c *tls.Conn) { io.Copy(io.Discard, c) }
	old := a.config(t, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
	other := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	asks := a.config(t, nil)
	asks.ClientAuth, asks.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	stale := failed(webhook.FailureTLS, "CERT_HAS_EXPIRED", "the certificate has expired or is not valid yet")
	return []hostile{
		{"TLS 1.1", listenTLS(t, old, wait), long, failed(webhook.FailureTLS, "EPROTO", "the receiver speaks no TLS of version 1.2 or newer")},
		{"an expired certificate", listenTLS(t, a.config(t, expired), wait), long, stale},
		{"a certificate of the future", listenTLS(t, a.config(t, early), wait), long, stale},
		{"a certificate of another host", listenTLS(t, a.config(t, other), wait), long,
			failed(webhook.FailureTLS, "ERR_TLS_CERT_ALTNAME_INVALID", "the certificate is for another host")},
		{"a certificate of a client", listenTLS(t, a.config(t, client), wait), long,
			failed(webhook.FailureTLS, "CERT_REJECTED", "the certificate is not valid for a server")},
		{"a certificate of an unknown authority", listenTLS(t, newAuthority(t).config(t, nil), wait), long,
			failed(webhook.FailureTLS, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "the certificate's issuer is not trusted, or its chain is incomplete")},
		{"asks for our certificate", listenTLS(t, asks, wait), long, failed(webhook.FailureTLS, "EPROTO", "the TLS handshake failed")},
		{"closed after the handshake", listenTLS(t, a.config(t, nil), func(c *tls.Conn) { c.CloseWrite(); wait(c) }), long, brokeOf},
		{"silent after the handshake", listenTLS(t, a.config(t, nil), wait), tight, late},
		{"a handshake a byte at a time", strings.Replace(listen(t, func(c conn) { c.write("\x16\x03\x03\x10\x00"); c.drip("\x02") }), "http:", "https:", 1), short, late},
	}
}
