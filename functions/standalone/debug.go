package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"
)

// debugGrace is how long a stop waits for profiles that are being taken. They
// end with the process's context, but who asked may be slow to read them.
const debugGrace = time.Second

// listenDebug listens on an address for serveDebug. Whoever can read profiles
// can slow the process down: the address must be of the loopback interface.
// Without an address there is no listener.
func listenDebug(addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	if host, _, err := net.SplitHostPort(addr); err != nil || !isLoopback(host) {
		return nil, fmt.Errorf("--debug-addr %s: write an address of the loopback interface, such as 127.0.0.1:6060", addr)
	}
	line, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--debug-addr %s: %w", addr, err)
	}
	return line, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// serveDebug serves Go's profiles until ctx ends. They name what the process
// does and hold no data of customers. Without a listener it does nothing.
func serveDebug(ctx context.Context, line net.Listener) {
	if line == nil {
		return
	}
	server := &http.Server{Handler: newDebug(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { _ = server.Serve(line) }) // ends with Shutdown
	<-ctx.Done()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), debugGrace)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close()
	}
}

// newDebug has the profiles, for those who ask from this machine and are no web
// page: one that a browser here shows could start profiles, though not read
// them. A page may point its own name to the loopback address, which then shows
// in Host, or call that address, which browsers tell in Sec-Fetch-Site.
func newDebug() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if !isOurs(r.Host) || site != "" && site != "none" && site != "same-origin" {
			http.Error(w, "Ask for an address of the loopback interface, from no web page.", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isOurs tells whether a Host header is an address of loopback, or localhost.
func isOurs(header string) bool {
	host, _, err := net.SplitHostPort(header)
	if err != nil { // it has no port
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return strings.EqualFold(host, "localhost") || isLoopback(host)
}
