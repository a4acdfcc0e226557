package httpsend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// FuzzNoURLLeadsToAPrivateAddress sends to any URL that the API takes. Nothing
// is called: a name has no address here, and an address that passed the policy
// is looked at instead.
func FuzzNoURLLeadsToAPrivateAddress(f *testing.F) {
	for _, seed := range []string{
		"http://127.0.0.1:9001/", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[64:ff9b::7f00:1]/",
		"http://2130706433/", "http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/", "http://localhost/", "http://LOCALHOST./", "http://a.localhost/",
		"https://8.8.8.8/", "https://8.8.8.8:25/", "https://[2606:4700::1111]:8443/", "https://example.com/", "http://169.254.169.254/latest", "http://1.2.3.4.:80/",
		"http://[2606:4700::1111%25eth0]/", "http://127。0。0。1/", "http://①②⑦.0.0.1/", "http://0/", "http://[::]/", "http://127.0.0.1%2f@8.8.8.8/",
	} {
		f.Add(seed)
	}
	errSeen := errors.New("seen")
	c := New(Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errSeen }}})
	guarded := c.dialer.check
	f.Fuzz(func(t *testing.T, raw string) {
		if webhook.CheckURL(raw) != nil {
			return
		}
		c.dialer.check = func(network, address string) error {
			if err := guarded(network, address); err != nil {
				return err
			}
			if a, err := netip.ParseAddrPort(address); err != nil || !isPlainlyPublic(a) {
				t.Errorf("%q leads to %s", raw, address)
			}
			return errSeen
		}
		result, _ := c.Post(t.Context(), webhook.Request{URL: raw, Timeout: time.Second})
		if result.Failure == "" {
			t.Errorf("%q was called: %+v", raw, result)
		}
		agree(t, raw)
	})
}

// isPlainlyPublic is what netip knows of it, apart from the policy.
func isPlainlyPublic(a netip.AddrPort) bool {
	ip := a.Addr()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.Is4In6() && ip.Zone() == "" && a.Port() != 0
}

// agree holds the early check and that of the dialer to one another, for URLs
// with an address in them.
func agree(t *testing.T, raw string) {
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return
	}
	network, port := "tcp4", u.Port()
	if ip.Is6() {
		network = "tcp6"
	}
	if port == "" {
		port = "443"
	}
	early, late := RefusedHost(raw), CheckAddress(network, net.JoinHostPort(ip.String(), port))
	if (early == nil) != (late == nil) {
		t.Errorf("%q: %v when it is set, %v when it is called", raw, early, late)
	}
}
