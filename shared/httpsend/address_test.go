package httpsend

import (
	"errors"
	"net"
	"strings"
	"testing"
)

const (
	refused = false
	allowed = true
)

// TestOnlyPublicAddressesAreDialled is the whole address policy: whatever a
// name resolves to must pass it. An address without a port is tried with three.
func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	tests := []struct {
		address string
		want    bool
	}{
		{"8.8.8.8", allowed},
		{"1.1.1.1", allowed},
		{"2606:4700::1111", allowed},
		{"2a00:1450:4001:81b::200e", allowed},
		{"100.63.255.255", allowed},  // just below CGNAT
		{"100.128.0.0", allowed},     // just above CGNAT
		{"172.15.255.255", allowed},  // just below RFC 1918
		{"172.32.0.0", allowed},      // just above RFC 1918
		{"168.63.129.17", allowed},   // beside Azure's metadata
		{"223.255.255.255", allowed}, // just below multicast

		{"127.0.0.1", refused},       // loopback; on Lambda the runtime API listens there
		{"127.255.255.254", refused}, // loopback is a /8
		{"::1", refused},             // loopback
		{"0.0.0.0", refused},         // unspecified: Linux connects to itself
		{"0.1.2.3", refused},         // "this network", RFC 791
		{"::", refused},              // unspecified
		{"10.0.0.1", refused},        // RFC 1918
		{"172.16.0.1", refused},      // RFC 1918
		{"172.31.255.255", refused},  // RFC 1918, its end
		{"192.168.1.1", refused},     // RFC 1918
		{"169.254.1.1", refused},     // link-local
		{"169.254.169.254", refused}, // EC2 metadata
		{"169.254.170.2", refused},   // ECS credentials
		{"169.254.169.253", refused}, // the VPC's DNS
		{"168.63.129.16", refused},   // Azure metadata, at a public address
		{"100.64.0.1", refused},      // CGNAT, RFC 6598
		{"100.127.255.255", refused}, // CGNAT, its end
		{"100.100.100.200", refused}, // Alibaba metadata
		{"192.0.0.1", refused},       // IETF protocol assignments
		{"192.0.0.192", refused},     // Oracle metadata
		{"192.0.2.1", refused},       // TEST-NET-1
		{"198.51.100.1", refused},    // TEST-NET-2
		{"203.0.113.1", refused},     // TEST-NET-3
		{"192.88.99.1", refused},     // 6to4 relays, deprecated
		{"198.18.0.1", refused},      // benchmarks, RFC 2544
		{"198.19.255.255", refused},  // benchmarks, their end
		{"224.0.0.1", refused},       // multicast
		{"239.255.255.255", refused}, // multicast, its end
		{"240.0.0.1", refused},       // reserved
		{"255.255.255.255", refused}, // broadcast

		{"fc00::1", refused},                // unique local
		{"fd00::1", refused},                // unique local
		{"fd00:ec2::254", refused},          // EC2 metadata
		{"fd00:ec2::253", refused},          // the VPC's DNS
		{"fe80::1", refused},                // link-local
		{"fe80::1%eth0", refused},           // link-local with a zone
		{"2606:4700::1111%eth0", refused},   // no public address has a zone
		{"fec0::1", refused},                // site-local, deprecated
		{"ff02::1", refused},                // multicast
		{"::ffff:127.0.0.1", refused},       // IPv4-mapped loopback
		{"::ffff:169.254.169.254", refused}, // IPv4-mapped metadata
		{"::ffff:8.8.8.8", refused},         // IPv4-mapped: nothing honest is written so
		{"::127.0.0.1", refused},            // IPv4-compatible, deprecated
		{"::8.8.8.8", refused},              // IPv4-compatible, deprecated
		{"64:ff9b::7f00:1", refused},        // NAT64 of loopback
		{"64:ff9b::808:808", refused},       // NAT64 of a public address
		{"64:ff9b:1::a00:1", refused},       // local NAT64, RFC 8215
		{"2002:7f00:1::", refused},          // 6to4 of loopback
		{"2002:a9fe:a9fe::1", refused},      // 6to4 of metadata
		{"2001::1", refused},                // Teredo
		{"2001:0:7f00:1::", refused},        // Teredo with loopback as its server
		{"2001:10::1", refused},             // ORCHID
		{"2001:2::1", refused},              // benchmarks, RFC 5180
		{"2001:db8::1", refused},            // documentation
		{"3fff::1", refused},                // documentation, RFC 9637
		{"100::1", refused},                 // discard only
		{"5f00::1", refused},                // segment routing
		{"4000::1", refused},                // not assigned
		{"2001:4:112::1", refused},          // AS112, which answers for private addresses
		{"2620:4f:8000::1", refused},        // AS112
		{"192.175.48.1", refused},           // AS112
		{"192.31.196.1", refused},           // AS112
		{"192.52.193.1", refused},           // AMT
		{"::ffff:0:127.0.0.1", refused},     // IPv4-translated, RFC 2765
		{"64:ff9b::a9fe:a9fe", refused},     // NAT64 of metadata
		{"64:ff9b:1::1", refused},           // local NAT64
		{"2002:808:808::1", refused},        // 6to4 of a public address
		{"2001:0:5ef5:79fb::1", refused},    // Teredo
		{"fd20:ce::254", refused},           // Google's metadata
		{"fdff:ffff::1", refused},           // unique local, its end
		{"febf::1", refused},                // link-local, its end
		{"169.254.0.23", refused},           // Tencent's metadata
		{"100.88.222.5", refused},           // Tencent's DNS, in CGNAT
		{"2000::", allowed},                 // the begin of what is public
		{"2a05:d014::1", allowed},           // Amazon's receivers
		{"127.0.0.1:9001", refused},         // Lambda's runtime API
		{"[::1]:9001", refused},             // the same

		{"8.8.8.8:1", refused},            // tcpmux
		{"8.8.8.8:22", refused},           // SSH
		{"8.8.8.8:25", refused},           // SMTP takes our lines for commands
		{"[2606:4700::1111]:25", refused}, // over IPv6 too
		{"8.8.8.8:587", refused},          // submission
		{"8.8.8.8:6000", refused},         // X11
		{"8.8.8.8:6379", refused},         // Redis
		{"8.8.8.8:11211", refused},        // memcached
		{"8.8.8.8:10080", refused},        // Amanda
		{"8.8.8.8:0", refused},            // no port
		{"8.8.8.8:3000", allowed},         // Node's habit
		{"8.8.8.8:9200", allowed},         // speaks HTTP: anybody can call it as well as we can
		{"8.8.8.8:65535", allowed},        // the last
		{"8.8.8.8:65536", refused},        // none
		{"8.8.8.8:-1", refused},           // none
		{"8.8.8.8:https", refused},        // a name, which was not looked up
		{"example.com:443", refused},      // a name, which was not looked up
		{"0x8.8.8.8:443", refused},        // no address as netip writes one
		{"010.8.8.8:443", refused},        // octal to some
		{"134744072:443", refused},        // 8.8.8.8 to inet_aton
		{"8.8:443", refused},              // 8.0.0.8 to inet_aton
		{"udp4 8.8.8.8:443", refused},     // not TCP
		{"udp6 [2606:4700::1111]:443", refused},
		{"tcp 8.8.8.8:443", refused},       // a dialer says tcp4 or tcp6
		{"ip4:tcp 8.8.8.8", refused},       // raw
		{"unix /run/docker.sock", refused}, // a file
		{"unix /run/docker.sock:443", refused},
		{"tcp4 ", refused},     // nothing
		{"tcp4 :443", refused}, // this machine
	}
	for _, tt := range tests {
		for _, asked := range spelled(tt.address) {
			network, address, _ := strings.Cut(asked, " ")
			err := CheckAddress(network, address)
			if got := err == nil; got != tt.want {
				t.Errorf("CheckAddress(%s, %s): allowed = %t, want %t", network, address, got, tt.want)
			}
			if err != nil && !errors.Is(err, ErrRefusedAddress) && !errors.Is(err, ErrRefusedPort) {
				t.Errorf("CheckAddress(%s, %s): %v is neither ErrRefusedAddress nor ErrRefusedPort", network, address, err)
			}
		}
	}
}

// spelled completes a row of the table to network and address with a port.
func spelled(address string) (all []string) {
	if strings.Contains(address, " ") {
		return []string{address}
	}
	network := "tcp4"
	if strings.Count(address, ":") > 1 {
		network = "tcp6"
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return []string{network + " " + address}
	}
	for _, port := range []string{"80", "443", "8443"} {
		all = append(all, network+" "+net.JoinHostPort(address, port))
	}
	return all
}

func TestPrivateHostsAreRefusedWithoutDNS(t *testing.T) {
	tests := []struct {
		url  string
		want bool
	}{
		{"https://example.com/hook", allowed},
		{"https://8.8.8.8/hook", allowed},
		{"https://[2606:4700::1111]:8443/", allowed},
		{"https://localhost.example.com/", allowed},
		{"https://10.example.com/", allowed},
		{"https://4.0xyz/", allowed},
		{"https://example.com:8443/", allowed},
		{"https://example.com:/", allowed}, // the scheme's own port

		{"http://localhost/", refused},
		{"http://LOCALHOST:8080/", refused},
		{"http://localhost./", refused},
		{"http://app.localhost/", refused},
		{"http://127.0.0.1:9001/", refused}, // Lambda's runtime API
		{"http://127.0.0.1./", refused},
		{"http://[::1]/", refused},
		{"http://[::ffff:10.0.0.1]/", refused},
		{"http://[fe80::1%25eth0]/", refused},
		{"http://169.254.169.254/latest/meta-data", refused},
		{"http://2130706433/", refused}, // 127.0.0.1 to inet_aton
		{"http://127.1/", refused},      // the same, shortened
		{"http://0x7f.1/", refused},     // the same, in hex
		{"http://0177.0.0.0x1/", refused},
		{"http://0x/", refused},
		{"http://%zz/", refused},
		{"http://0/", refused},            // 0.0.0.0
		{"http://017700000001/", refused}, // 127.0.0.1 in octal
		{"http://0x7f000001/", refused},   // in hex
		{"http://127.0.1/", refused},      // three parts
		{"http://127.0.0.1.2/", refused},  // five
		{"http://1.2.3.08/", refused},     // octal that is none
		{"http://[64:ff9b::7f00:1]/", refused},
		{"https://example.com:25/", refused},    // SMTP
		{"https://example.com:6379/", refused},  // Redis
		{"https://example.com:00025/", refused}, // SMTP
	}
	for _, tt := range tests {
		if err := RefusedHost(tt.url); (err == nil) != tt.want {
			t.Errorf("RefusedHost(%s) = %v, want allowed = %t", tt.url, err, tt.want)
		}
	}
}
