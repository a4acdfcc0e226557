package freeport

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAFoundPortCanBeListenedOn(t *testing.T) {
	addr, err := Addr()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if err := free(port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use: got %v, want %v", err, syscall.EADDRINUSE)
	}
}

// TestNoOutgoingConnectionTakesAFoundPort: a server that is started a moment
// after the search still finds its port free.
func TestNoOutgoingConnectionTakesAFoundPort(t *testing.T) {
	const setting = "/proc/sys/net/ipv4/ip_local_port_range"
	b, err := os.ReadFile(setting)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("only Linux says which ports it hands out, in " + setting)
	}
	if err != nil {
		t.Fatal(err)
	}
	lowest, err := strconv.Atoi(strings.Fields(string(b))[0])
	if err != nil {
		t.Fatal(err)
	}
	if lowest <= first {
		t.Skipf("this machine hands out all ports from %d; Linux's own setting is 32768", lowest)
	}
	for range 100 {
		port, err := Find()
		if err != nil {
			t.Fatal(err)
		}
		if port >= lowest {
			t.Fatalf("found port %d, which an outgoing connection may take", port)
		}
	}
}
