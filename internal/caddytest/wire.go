package caddytest

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// Wire is the network between clients and a server, which a test cuts and mends.
type Wire struct {
	// Address is where clients find the server.
	Address string

	mu    sync.Mutex // guards cut and conns
	cut   bool
	conns map[*net.TCPConn]struct{} // both ends
}

// NewWire leads to the server's address, until the test ends.
func NewWire(t testing.TB, server string) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Address: listener.Addr().String(), conns: make(map[*net.TCPConn]struct{})}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		w.Cut()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { w.connect(client.(*net.TCPConn), server) })
		}
	})
	return w
}

// connect carries bytes both ways until one end has no more, or the wire is cut.
func (w *Wire) connect(client *net.TCPConn, server string) {
	defer client.Close()
	if !w.carry(client) {
		return
	}
	defer w.drop(client)
	dialled, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer dialled.Close()
	backend := dialled.(*net.TCPConn)
	if !w.carry(backend) {
		return
	}
	defer w.drop(backend)
	var upward sync.WaitGroup
	upward.Go(func() {
		io.Copy(backend, client)
		backend.CloseWrite()
	})
	io.Copy(client, backend)
	client.Close()
	upward.Wait()
}

// carry has the connection reset when the wire is cut. It is not ok if it is cut
// already.
func (w *Wire) carry(conn *net.TCPConn) (ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		conn.SetLinger(0)
		return false
	}
	w.conns[conn] = struct{}{}
	return true
}

func (w *Wire) drop(conn *net.TCPConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
}

// Cut resets all connections, whatever is under way on them, and each new one.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for conn := range w.conns {
		conn.SetLinger(0)
		conn.Close()
	}
}

// Mend lets clients connect again.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

// Root is the file with the certificate of Caddy's own CA, for clients that have
// to be told whom to trust.
func (c *Secure) Root() string {
	return filepath.Join(filepath.Dir(c.config), "caddy", "pki", "authorities", "local", "root.crt")
}
