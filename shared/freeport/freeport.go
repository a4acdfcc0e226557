// Package freeport finds ports of the loopback interface for servers that are
// started as processes of their own, by tests and by measurements.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports are taken from a range that lies below those that Linux (from 32768)
// and macOS (from 49152) hand out to outgoing connections: between the search
// and the start of the server one of those could take the port.
const (
	first = 15000
	last  = 29999
)

// tries bounds the search: so many ports in use, chosen at random, mean that
// something else is wrong.
const tries = 100

// Find returns a TCP port of 127.0.0.1 on which nobody listens at this moment.
func Find() (int, error) {
	for range tries {
		port := first + rand.IntN(last-first+1)
		switch err := free(port); {
		case err == nil:
			return port, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return 0, fmt.Errorf("find a free port: %w", err)
		}
	}
	return 0, fmt.Errorf("find a free port: %d ports between %d and %d are in use", tries, first, last)
}

// Addr is Find as an address, such as 127.0.0.1:15000.
func Addr() (string, error) {
	port, err := Find()
	return address(port), err
}

func free(port int) error {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return err
	}
	return l.Close()
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
