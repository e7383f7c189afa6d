package caddytest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// FreePorts finds loopback addresses for Caddy to listen on, and reserves them until
// the test ends. Two Caddys at one address would share it without an error, because
// they use SO_REUSEPORT. The sockets that reserve the ports use it too, but do not
// listen. They are bound to all addresses, as Caddy's are: a port that is free on one
// address may be used by a connection on another.
func FreePorts(t testing.TB, n int) []string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		socket, address, err := keepPort()
		if err != nil {
			t.Fatalf("finding a free port: %v", err)
		}
		t.Cleanup(func() { unix.Close(socket) })
		addresses[i] = address
	}
	return addresses
}

// keepPort binds a socket to a free port.
func keepPort() (socket int, address string, err error) {
	socket, err = bindAny(unix.AF_INET6, &unix.SockaddrInet6{})
	if err != nil { // IPv6 is not available
		socket, err = bindAny(unix.AF_INET, &unix.SockaddrInet4{})
	}
	if err != nil {
		return 0, "", err
	}
	bound, err := unix.Getsockname(socket)
	if err != nil {
		unix.Close(socket)
		return 0, "", err
	}
	return socket, fmt.Sprintf("127.0.0.1:%d", portOf(bound)), nil
}

// bindAny binds a socket of the family to the unspecified address and a port chosen by
// the system.
func bindAny(family int, unspecified unix.Sockaddr) (socket int, err error) {
	socket, err = unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, err
	}
	unix.CloseOnExec(socket)
	if err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
		err = unix.Bind(socket, unspecified)
	}
	if err != nil {
		unix.Close(socket)
		return 0, err
	}
	return socket, nil
}

func portOf(address unix.Sockaddr) int {
	if ip6, ok := address.(*unix.SockaddrInet6); ok {
		return ip6.Port
	}
	return address.(*unix.SockaddrInet4).Port
}

// lasting are the ports that LastingPort has returned, which it does not return again.
var lasting sync.Map

// LastingPort returns a free port that the system does not assign to connections, so
// that a restarted server finds it free again.
func LastingPort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.N(20_000)
		if _, found := lasting.LoadOrStore(port, true); found {
			continue
		}
		if listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("finding a free port: none of a hundred ports is free")
	return 0
}
