package caddytest

import (
	"net"
	"net/http"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ServeAt starts a backend at one of the addresses of [FreePorts]. It runs until it is
// closed, after which it can be started again, or until the test ends.
func ServeAt(t testing.TB, address string, handler http.HandlerFunc) *http.Server {
	t.Helper()
	reuse := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		failed := conn.Control(func(socket uintptr) {
			err = unix.SetsockoptInt(int(socket), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if failed != nil {
			return failed
		}
		return err
	}}
	listener, err := reuse.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("serving at %s: %v", address, err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return server
}
