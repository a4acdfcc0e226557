package httpsend

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
)

// ErrRefusedAddress says that an address is not a public one. Errors of
// CheckAddress and RefusedHost wrap it.
var ErrRefusedAddress = errors.New("the address is private or reserved")

// CheckAddress tells whether a connection may be opened: network is tcp4 or
// tcp6, address an IP address with a port. It refuses with ErrRefusedAddress
// whatever is not public: the special-purpose registries of IANA, IPv6 outside
// 2000::/3, and cloud metadata; and with ErrRefusedPort the ports of other
// protocols.
func CheckAddress(network, address string) error { return newGuard().check(network, address) }

// RefusedHost tells, without DNS, whether a URL names a host that would be
// refused whatever DNS says: a private IP address, a number that some
// resolvers read as an IPv4 address (such as 0x7f.1), or localhost; or a port
// of another protocol. A URL that passes may still be refused when it is called.
func RefusedHost(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return errors.New("it is no valid URL")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		if err := checkPort(uint16(port)); err != nil {
			return err
		}
	}
	return newGuard().checkHost(u.Hostname())
}

// endsInNumber is the test by which browsers take a host for an IPv4 address
// (https://url.spec.whatwg.org/#ends-in-a-number-checker). No name ends so.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, ok := strings.CutPrefix(last, "0x"); ok {
		_, err := strconv.ParseUint("0"+digits, 16, 64)
		return err == nil || errors.Is(err, strconv.ErrRange)
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// guard is the address policy.
type guard struct{ ranges *ssrf.Guardian }

func newGuard() guard {
	return guard{ssrf.New(
		ssrf.WithAnyPort(), // checkPort knows those that are refused
		// Azure's metadata and DNS, a public address that only Azure routes
		// inwards; the registries of IANA do not know it.
		ssrf.WithDeniedV4Prefixes(netip.MustParsePrefix("168.63.129.16/32")),
	)}
}

// check is the policy for an address about to be dialled.
func (g guard) check(network, address string) error {
	if err := g.ranges.Safe(network, address, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrRefusedAddress, err)
	}
	return checkPort(netip.MustParseAddrPort(address).Port()) // Safe has parsed it
}

// checkHost is the policy for a host about to be looked up. Some resolvers read
// 0x7f.1 as 127.0.0.1, others ask the name servers for it; whatever they say,
// no name of a receiver ends in a number.
func (g guard) checkHost(host string) error {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return fmt.Errorf("%w: %s", ErrRefusedAddress, host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.checkIP(ip)
	}
	if endsInNumber(host) {
		return fmt.Errorf("%w: write %s as four decimal numbers", ErrRefusedAddress, host)
	}
	return nil
}

func (g guard) checkIP(ip netip.Addr) error {
	if err := g.ranges.SafeAddr(ip); err != nil {
		return fmt.Errorf("%w: %w", ErrRefusedAddress, err)
	}
	return nil
}
