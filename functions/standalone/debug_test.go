package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProfilesAreServedOnTheLoopbackInterfaceOnly(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:0":        true,
		"127.1.2.3:0":        true,
		"[::1]:0":            true,
		"0.0.0.0:6060":       false,
		"[::]:6060":          false,
		":6060":              false,
		"127.0.0.1":          false, // no port
		"::1:6060":           false, // no brackets
		"192.168.0.1:6060":   false,
		"localhost:6060":     false, // a name is what somebody says it is
		"jobhook.local:6060": false,
		"127.1:6060":         false,
	} {
		line, err := listenDebug(addr)
		if line != nil {
			line.Close()
		}
		// Listening itself may fail: not every machine has IPv6.
		if got := err == nil || !strings.Contains(err.Error(), "write an address of the loopback interface"); got != want {
			t.Errorf("%s: %v, want %t", addr, err, want)
		}
	}
	if line, err := listenDebug(""); line != nil || err != nil {
		t.Errorf("without an address: %v, %v; want neither", line, err)
	}
}

func TestWebPagesCannotStartProfiles(t *testing.T) {
	for _, tt := range []struct {
		host, site string
		want       int
	}{
		{"127.0.0.1:6060", "", 200},
		{"127.0.0.1", "", 200},
		{"[::1]:6060", "", 200},
		{"[::1]", "", 200},
		{"LocalHost:6060", "", 200},
		{"127.0.0.1:6060", "none", 200},           // typed into a browser
		{"127.0.0.1:6060", "same-origin", 200},    // a link of the index
		{"127.0.0.1:6060", "cross-site", 403},     // a page that calls the address
		{"localhost:6060", "same-site", 403},      // a page of another port here
		{"evil.example:6060", "same-origin", 403}, // a page whose name leads here
		{"evil.example", "", 403},
		{"127.0.0.1.evil.example:6060", "", 403},
		{"localhost.evil.example", "", 403},
		{"10.0.0.7:6060", "", 403},
		{"", "", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/", nil)
		r.Host = tt.host
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		w := httptest.NewRecorder()
		newDebug().ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("Host %q, Sec-Fetch-Site %q: %d, want %d", tt.host, tt.site, w.Code, tt.want)
		}
	}
}

func TestNoProfileOutlivesTheProcess(t *testing.T) {
	line, err := listenDebug("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		serveDebug(ctx, line)
		close(ended)
	}()
	url := "http://" + line.Addr().String() + "/debug/pprof/"
	resp, err := http.Get(url + "goroutine?debug=1")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v; want 200", resp, err)
	}
	resp.Body.Close()
	answered := make(chan struct{})
	go func() {
		if resp, err := http.Get(url + "trace?seconds=3600"); err == nil {
			resp.Body.Close()
		}
		close(answered)
	}()
	stop()
	<-ended
	<-answered
	if _, err := http.Get(url); err == nil {
		t.Error("profiles are served after the end")
	}
}
