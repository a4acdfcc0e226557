package httpsend

import (
	"errors"
	"net"
	"testing"
)

const (
	refused = false
	allowed = true
)

func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	tests := []struct {
		ip   string
		want bool
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
	}
	for _, tt := range tests {
		network := "tcp6"
		if ip := net.ParseIP(tt.ip); ip != nil && ip.To4() != nil {
			network = "tcp4"
		}
		for _, port := range []string{"80", "443", "8443"} {
			err := CheckAddress(network, net.JoinHostPort(tt.ip, port))
			if got := err == nil; got != tt.want {
				t.Errorf("CheckAddress(%s, port %s): allowed = %t, want %t", tt.ip, port, got, tt.want)
			}
			if err != nil && !errors.Is(err, ErrRefusedAddress) {
				t.Errorf("CheckAddress(%s): %v is no ErrRefusedAddress", tt.ip, err)
			}
		}
	}
}

func TestOnlyTCPIsDialled(t *testing.T) {
	for _, tt := range []struct{ network, address string }{
		{"udp4", "8.8.8.8:443"},
		{"unix", "/run/docker.sock"},
		{"tcp4", "8.8.8.8:0"},
		{"tcp4", "8.8.8.8"},
		{"tcp4", "example.com:443"},
		{"tcp4", ""},
	} {
		if err := CheckAddress(tt.network, tt.address); !errors.Is(err, ErrRefusedAddress) {
			t.Errorf("CheckAddress(%q, %q) = %v, want ErrRefusedAddress", tt.network, tt.address, err)
		}
	}
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
	}
	for _, tt := range tests {
		if err := RefusedHost(tt.url); (err == nil) != tt.want {
			t.Errorf("RefusedHost(%s) = %v, want allowed = %t", tt.url, err, tt.want)
		}
	}
}
