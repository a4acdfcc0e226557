package httpsend

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/jobhook/jobhook/shared/webhook"
)

// public stands for an address on the Internet. Nothing in these tests calls it.
const public = "93.184.215.14"

// names answers DNS queries for IPv4 addresses as it is told; there are no
// IPv6 addresses.
type names struct {
	mu    sync.Mutex
	asked map[string]int
	// answer gives the records of a name when it is asked for the n-th time,
	// from 1: addresses, and names for CNAMEs.
	answer func(name string, n int) ([]string, dnsmessage.RCode)
}

// silentCode makes a server give no answer at all.
const silentCode = dnsmessage.RCode(0xfff)

// resolver returns one that asks a name server on loopback.
func resolver(t *testing.T, answer func(name string, n int) ([]string, dnsmessage.RCode)) *net.Resolver {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &names{asked: map[string]int{}, answer: answer}
	var running sync.WaitGroup
	running.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := s.reply(t, buf[:n]); reply != nil {
				server.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() { server.Close(); running.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func (s *names) reply(t *testing.T, query []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		t.Errorf("no DNS query: %x", query)
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	name := strings.TrimSuffix(q.Name.String(), ".")
	s.mu.Lock()
	if q.Type == dnsmessage.TypeA {
		s.asked[name]++
	}
	records, code := s.answer(name, s.asked[name])
	s.mu.Unlock()
	if m.RCode = code; code == silentCode {
		return nil
	}
	if q.Type != dnsmessage.TypeA {
		records = nil
	}
	owner := q.Name
	for _, r := range records {
		h := dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET}
		if ip := net.ParseIP(r).To4(); ip != nil {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte(ip)}})
			continue
		}
		owner = dnsmessage.MustNewName(r + ".")
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: owner}})
	}
	reply, err := m.Pack()
	if err != nil {
		t.Errorf("pack an answer: %v", err)
	}
	return reply
}

// always gives a name the same records.
func always(records ...string) func(string, int) ([]string, dnsmessage.RCode) {
	return func(string, int) ([]string, dnsmessage.RCode) { return records, dnsmessage.RCodeSuccess }
}

func TestWhatDNSSaysIsCheckedBeforeItIsCalled(t *testing.T) {
	var calls atomic.Int32
	url := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	port := url[strings.LastIndexByte(url, ':'):]
	refused := failed(webhook.FailureRefusedAddress, "", "the address is private or reserved")
	none := failed(webhook.FailureDNS, "ENOTFOUND", "the host has no address")
	unsure := failed(webhook.FailureDNS, "EAI_AGAIN", "the host's name servers do not answer")
	code := func(c dnsmessage.RCode) func(string, int) ([]string, dnsmessage.RCode) {
		return func(string, int) ([]string, dnsmessage.RCode) { return nil, c }
	}
	tests := []struct {
		name   string
		answer func(string, int) ([]string, dnsmessage.RCode)
		want   webhook.Result
	}{
		{"private", always("127.0.0.1"), refused},
		{"all private", always("10.0.0.1", "127.0.0.1", "169.254.169.254"), refused},
		{"an alias of a private name", always("b.example", "c.internal", "127.0.0.1"), refused},
		{"metadata", always("169.254.169.254"), refused},
		{"unspecified", always("0.0.0.0"), refused},
		{"no such name", code(dnsmessage.RCodeNameError), none},
		{"no record", always(), none},
		{"an alias that leads nowhere", always("b.example"), none},
		{"the name server fails", code(dnsmessage.RCodeServerFailure), unsure},
		{"the name server refuses", code(dnsmessage.RCodeRefused), unsure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{Resolver: resolver(t, tt.answer)})
			defer c.CloseIdle()
			got, _ := c.Post(t.Context(), webhook.Request{URL: "http://a.example" + port, Timeout: long})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the receiver on loopback was called %d times", n)
	}
}

func TestNameThatChangesBetweenCheckAndCallIsRefused(t *testing.T) {
	called := make(chan struct{}, 1)
	url := serve(t, func(http.ResponseWriter, *http.Request) { called <- struct{}{} })
	r := resolver(t, func(_ string, n int) ([]string, dnsmessage.RCode) {
		if n == 1 {
			return []string{public}, dnsmessage.RCodeSuccess
		}
		return []string{"127.0.0.1"}, dnsmessage.RCodeSuccess
	})
	if first, err := r.LookupHost(t.Context(), "rebind.example"); err != nil || !cmp.Equal(first, []string{public}) {
		t.Fatalf("the first look finds %v, %v; want the public address", first, err)
	}
	c := New(Options{Resolver: r})
	defer c.CloseIdle()
	got, _ := c.Post(t.Context(), webhook.Request{URL: strings.Replace(url, "127.0.0.1", "rebind.example", 1), Timeout: long})
	if want := failed(webhook.FailureRefusedAddress, "", "the address is private or reserved"); !cmp.Equal(got, want) {
		t.Errorf("result = %+v, want %+v", got, want)
	}
	if len(called) != 0 {
		t.Error("the receiver was called")
	}
}

// Here 127.0.0.1 counts as public, as there must be somebody who answers.
func TestPrivateAddressAmongPublicOnesIsNeverCalled(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	port := url[strings.LastIndexByte(url, ':'):]
	for _, records := range [][]string{{"10.0.0.1", "127.0.0.1"}, {"127.0.0.1", "10.0.0.1"}} {
		c := New(Options{Resolver: resolver(t, always(records...))})
		guarded := c.dialer.check
		var passed []string
		c.dialer.check = func(network, address string) error {
			if address != "127.0.0.1"+port {
				if err := guarded(network, address); err != nil {
					return err
				}
			}
			passed = append(passed, address)
			return nil
		}
		got, _ := c.Post(t.Context(), webhook.Request{URL: "http://both.example" + port, Timeout: long})
		c.CloseIdle()
		if want := []string{"127.0.0.1" + port}; got.Status != 200 || !cmp.Equal(passed, want) {
			t.Errorf("%v: result %+v after dialling %v, want 200 after dialling %v", records, got, passed, want)
		}
	}
}

func TestSilentNameServerIsADNSFailureWithinTheTimeout(t *testing.T) {
	c := New(Options{Resolver: resolver(t, func(string, int) ([]string, dnsmessage.RCode) { return nil, silentCode })})
	defer c.CloseIdle()
	got, timing := c.Post(t.Context(), webhook.Request{URL: "http://a.example/", Timeout: unhurried})
	if want := failed(webhook.FailureDNS, "EAI_AGAIN", "no address from DNS within 1s"); !cmp.Equal(got, want) {
		t.Errorf("result = %+v, want %+v", got, want)
	}
	if timing.DNS == 0 {
		t.Errorf("timing = %+v, want the time spent on DNS", timing)
	}
}

// Some resolvers read these as 127.0.0.1. Ours asks the name servers, which
// answer with a public address here: no answer of theirs makes such a host good.
func TestOddSpellingsOfAddressesAreRefusedWhateverDNSSays(t *testing.T) {
	var asked atomic.Int32
	c := New(Options{Resolver: resolver(t, func(string, int) ([]string, dnsmessage.RCode) {
		asked.Add(1)
		return []string{public}, dnsmessage.RCodeSuccess
	})})
	defer c.CloseIdle()
	for _, host := range []string{"2130706433", "127.1", "127.0.1", "0177.0.0.1", "0x7f.1", "0x7f000001", "017700000001", "0", "1.2.3.08", "localhost", "a.localhost.", "LOCALHOST"} {
		got, _ := c.Post(t.Context(), webhook.Request{URL: "http://" + host + ":9001/", Timeout: long})
		if want := failed(webhook.FailureRefusedAddress, "", "the address is private or reserved"); !cmp.Equal(got, want) {
			t.Errorf("%s: result = %+v, want %+v", host, got, want)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("DNS was asked %d times", n)
	}
}

func TestPortsOfOtherProtocolsAreRefusedWhenDialled(t *testing.T) {
	c := New(Options{Resolver: resolver(t, always(public))})
	defer c.CloseIdle()
	for _, port := range []string{"25", "22", "6379", "11211"} {
		got, _ := c.Post(t.Context(), webhook.Request{URL: "http://mail.example:" + port + "/", Timeout: long})
		if want := failed(webhook.FailureRefusedAddress, "", "the port belongs to another protocol than HTTP"); !cmp.Equal(got, want) {
			t.Errorf("port %s: result = %+v, want %+v", port, got, want)
		}
	}
}
