package caddytest

import (
	"net"
	"sync"
	"testing"
)

// Proxy is the network between a process and a server, which a test can cut, stall and
// heal. The server may stop and start again.
type Proxy struct {
	// Address is the host and port at which the process reaches the server.
	Address string

	target string

	mu      sync.Mutex // guards all below
	refuses bool
	going   chan struct{}             // closed while bytes are forwarded
	conns   map[*net.TCPConn]struct{} // both ends of each connection
}

// StartProxy starts a proxy to the target, a host and port, that runs until the test
// ends.
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

// Cut resets all connections, and each new one until Heal.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goOn()
	p.refuses = true
	for conn := range p.conns {
		reset(conn)
	}
}

// Stall stops all data, as a pulled cable would: connections stay open, new ones are
// accepted, and neither side gets an error.
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

// Heal forwards data again, including what was sent while the proxy was stalled.
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

// await returns when bytes are forwarded.
func (p *Proxy) await() {
	p.mu.Lock()
	going := p.going
	p.mu.Unlock()
	<-going
}

// connect forwards bytes both ways until one end closes, or the connection is reset.
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

// carry forwards bytes from one connection to the other, and closes both at the end.
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

// keep registers the connection to be reset when the proxy is cut. ok is false if the
// proxy is cut already.
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
