package caddytest

import (
	"net"
	"sync"
	"testing"
)

// Proxy is the network between one process and a server, which a test cuts, stalls
// and heals. The server may be away, and come back.
type Proxy struct {
	// Address is the host and port where the process finds the server.
	Address string

	target string

	mu      sync.Mutex // guards all below
	refuses bool
	going   chan struct{}             // closed while bytes are carried
	conns   map[*net.TCPConn]struct{} // both ends
}

// StartProxy leads to the target, a host and port, until the test ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: listener.Addr().String(), target: target, going: make(chan struct{}), conns: make(map[*net.TCPConn]struct{})}
	close(p.going)
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.connect(client.(*net.TCPConn)) })
		}
	})
	return p
}

// Cut resets all connections, and each new one.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goOn()
	p.refuses = true
	for conn := range p.conns {
		reset(conn)
	}
}

// Stall has nothing arrive any more, as where a cable was pulled: connections stay,
// new ones are made, and nobody learns of it.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
	select {
	case <-p.going:
		p.going = make(chan struct{})
	default:
	}
}

// Heal has everything arrive again, also what was sent while it was stalled.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
	p.goOn()
}

// goOn ends a stall. The caller holds mu.
func (p *Proxy) goOn() {
	select {
	case <-p.going:
	default:
		close(p.going)
	}
}

// await returns when bytes are carried.
func (p *Proxy) await() {
	p.mu.Lock()
	going := p.going
	p.mu.Unlock()
	<-going
}

// connect carries bytes both ways until one end has no more, or the connection is
// reset.
func (p *Proxy) connect(client *net.TCPConn) {
	defer client.Close()
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	p.await()
	dialled, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	if !p.keep(server) {
		return
	}
	defer p.drop(server)
	var upward sync.WaitGroup
	upward.Go(func() { p.carry(server, client) })
	p.carry(client, server)
	upward.Wait()
}

// carry ends both connections with what comes from one.
func (p *Proxy) carry(to, from *net.TCPConn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.await()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// keep has the connection reset when the proxy is cut. It is not ok if it is already.
func (p *Proxy) keep(conn *net.TCPConn) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses {
		reset(conn)
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
