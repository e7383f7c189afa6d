package caddytest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// FreePorts finds loopback addresses for Caddy to listen on, and keeps others from
// them until the test ends. Two Caddys at one address would share it in silence,
// as theirs are sockets with SO_REUSEPORT; so are the ones that keep the place
// here, which do not listen.
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

// keepPort binds a socket to a port that is free.
func keepPort() (socket int, address string, err error) {
	socket, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, "", err
	}
	unix.CloseOnExec(socket)
	if err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
		err = unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		unix.Close(socket)
		return 0, "", err
	}
	name, err := unix.Getsockname(socket)
	if err != nil {
		unix.Close(socket)
		return 0, "", err
	}
	return socket, fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), nil
}
