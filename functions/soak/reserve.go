package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// reserved is a port of the loopback interface that is ours although nobody
// listens: connections are refused, and no other program can take it.
type reserved struct {
	fd   int
	addr string
}

func reserve() (*reserved, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), syscall.Close(fd))
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), syscall.Close(fd))
	}
	bound, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return nil, errors.Join(errors.New("reserve a port: it is not of IPv4"), syscall.Close(fd))
	}
	return &reserved{fd, fmt.Sprintf("127.0.0.1:%d", bound.Port)}, nil
}

// listen begins to take connections.
func (r *reserved) listen() (net.Listener, error) {
	if err := syscall.Listen(r.fd, 128); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", r.addr, err)
	}
	f := os.NewFile(uintptr(r.fd), r.addr)
	line, err := net.FileListener(f) // has a descriptor of its own
	return line, errors.Join(err, f.Close())
}
