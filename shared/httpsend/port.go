package httpsend

import (
	"errors"
	"fmt"
)

// ErrRefusedPort says that a port belongs to another protocol than HTTP. Errors
// of CheckAddress and RefusedHost wrap it.
var ErrRefusedPort = errors.New("the port belongs to another protocol than HTTP")

// checkPort refuses the ports where a POST could do harm: services that read
// line by line take our headers and a customer's record for commands, and would
// hear them from us. Every other port is free, as receivers listen on :8443,
// :9443 and the like.
func checkPort(port uint16) error {
	if isBadPort(port) {
		return fmt.Errorf("%w: %d", ErrRefusedPort, port)
	}
	return nil
}

// isBadPort tells the ports that browsers call on no page's behalf
// (https://fetch.spec.whatwg.org/#port-blocking), and two of services that
// read commands line by line and are often left without a password: Redis
// (6379) and memcached (11211).
//
// Databases with a protocol of bytes (3306, 5432, 27017) drop a POST, so they
// are not among them; nor are services that speak HTTP (2375, 9200), which
// anybody can call as well as we can.
func isBadPort(port uint16) bool {
	switch port {
	case 0, // none: the system would choose one
		1,     // tcpmux
		7,     // echo
		9,     // discard
		11,    // systat
		13,    // daytime
		15,    // netstat
		17,    // qotd
		19,    // chargen
		20,    // ftp-data
		21,    // ftp
		22,    // ssh
		23,    // telnet
		25,    // smtp
		37,    // time
		42,    // name
		43,    // nicname
		53,    // domain
		69,    // tftp
		77,    // rje
		79,    // finger
		87,    // link
		95,    // supdup
		101,   // hostname
		102,   // iso-tsap
		103,   // gppitnp
		104,   // acr-nema
		109,   // pop2
		110,   // pop3
		111,   // sunrpc
		113,   // auth
		115,   // sftp
		117,   // uucp-path
		119,   // nntp
		123,   // ntp
		135,   // epmap
		137,   // netbios-ns
		139,   // netbios-ssn
		143,   // imap
		161,   // snmp
		179,   // bgp
		389,   // ldap
		427,   // svrloc
		465,   // submissions
		512,   // exec
		513,   // login
		514,   // shell
		515,   // printer
		526,   // tempo
		530,   // courier
		531,   // chat
		532,   // netnews
		540,   // uucp
		548,   // afp
		554,   // rtsp
		556,   // remotefs
		563,   // nntps
		587,   // submission
		601,   // syslog-conn
		636,   // ldaps
		989,   // ftps-data
		990,   // ftps
		993,   // imaps
		995,   // pop3s
		1719,  // h323gatestat
		1720,  // h323hostcall
		1723,  // pptp
		2049,  // nfs
		3659,  // apple-sasl
		4045,  // npp
		4190,  // sieve
		5060,  // sip
		5061,  // sips
		6000,  // x11
		6379,  // redis
		6566,  // sane-port
		6665,  // ircu
		6666,  // ircu
		6667,  // ircu
		6668,  // ircu
		6669,  // ircu
		6679,  // osaut
		6697,  // ircs-u
		10080, // amanda
		11211: // memcache
		return true
	}
	return false
}
