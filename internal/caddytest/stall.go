package caddytest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Stall lets a client stop reading and continue later.
type Stall struct {
	mu    sync.Mutex    // guards going
	going chan struct{} // closed while the client reads
}

// NewStall returns a Stall of a client that reads.
func NewStall() *Stall {
	s := &Stall{going: make(chan struct{})}
	close(s.going)
	return s
}

// Transport returns the transport for the client.
func (s *Stall) Transport() *http.Transport {
	return &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		return &stallingConn{conn, s}, nil
	}}
}

// Stop stops reading after the read in progress.
func (s *Stall) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.going = make(chan struct{})
}

// GoOn continues reading.
func (s *Stall) GoOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.going)
}

type stallingConn struct {
	net.Conn
	stall *Stall
}

func (c *stallingConn) Read(p []byte) (int, error) {
	c.stall.mu.Lock()
	going := c.stall.going
	c.stall.mu.Unlock()
	<-going
	return c.Conn.Read(p)
}
