package caddytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Protocol is a way for a client to speak HTTP.
type Protocol string

// The protocols that Caddy serves.
const (
	HTTP1    Protocol = "HTTP 1.1"
	HTTP1TLS Protocol = "HTTP 1.1 over TLS"
	HTTP2    Protocol = "HTTP 2"
	HTTP3    Protocol = "HTTP 3"
)

// Protocols are all protocols.
var Protocols = []Protocol{HTTP1, HTTP1TLS, HTTP2, HTTP3}

// Secure is a Caddy that also serves a site over TLS, and so with each protocol.
type Secure struct {
	*Caddy

	// TLSSite is the host and port of {$TLS_SITE} in the Caddyfile.
	TLSSite string

	roots *x509.CertPool
}

// StartSecure is like [Start] with one more address: https://{$TLS_SITE} in the
// Caddyfile, of which {$TLS_PORT} is the port. It returns when Caddy has its
// certificate.
func StartSecure(t testing.TB, caddyfile, backend string, env ...string) *Secure {
	t.Helper()
	c := &Secure{TLSSite: freeTLSAddress(t), roots: x509.NewCertPool()}
	_, port, _ := net.SplitHostPort(c.TLSSite)
	c.Caddy = Start(t, caddyfile, backend, append(env, "TLS_SITE="+c.TLSSite, "TLS_PORT="+port)...)
	var err error
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		if err = c.handshake(); err == nil {
			return c
		}
	}
	t.Fatalf("Caddy does not serve https://%s: %v\n%s", c.TLSSite, err, c.Stderr)
	return nil
}

// handshake succeeds once Caddy's own CA has made the site's certificate.
func (c *Secure) handshake() error {
	text, err := os.ReadFile(c.Root())
	if err != nil {
		return err
	}
	c.roots.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", c.TLSSite, c.tls(As{}))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Root returns the file with the certificate of Caddy's own CA, for clients that must
// be told to trust it.
func (c *Secure) Root() string {
	return filepath.Join(filepath.Dir(c.config), "caddy", "pki", "authorities", "local", "root.crt")
}

func (c *Secure) tls(as As) *tls.Config {
	config := &tls.Config{RootCAs: c.roots, ServerName: "localhost"}
	if as.Certificate != nil {
		config.Certificates = []tls.Certificate{*as.Certificate}
	}
	return config
}

// freeTLSAddress returns an address of localhost whose port is free for TCP and UDP.
func freeTLSAddress(t testing.TB) string {
	t.Helper()
	for {
		address := FreePorts(t, 1)[0]
		_, port, _ := net.SplitHostPort(address)
		if udp, err := net.ListenPacket("udp", ":"+port); err == nil {
			udp.Close()
			return "localhost:" + port
		}
	}
}

// Client is a client of a site with one protocol and its own connections.
type Client struct {
	Protocol Protocol

	// URL is the URL of the site, without a path.
	URL string

	// Transport uses only that protocol. It neither asks for compressed answers nor
	// decompresses them.
	Transport http.RoundTripper

	mu     sync.Mutex // guards conns and closed
	conns  []func()   // close each connection
	closed bool       // the test has ended
}

// As is the identity that a client's connections show to the server.
type As struct {
	// Address is the local address. If it is zero, the system chooses one.
	Address netip.Addr

	// Certificate is the TLS client certificate, or nil.
	Certificate *tls.Certificate
}

// Client returns a client, which is closed when the test ends.
func (c *Secure) Client(t testing.TB, protocol Protocol) *Client {
	return c.ClientAs(t, protocol, As{})
}

// ClientAs is like [Secure.Client] for a client with an identity.
func (c *Secure) ClientAs(t testing.TB, protocol Protocol, as As) *Client {
	client := &Client{Protocol: protocol, URL: "https://" + c.TLSSite}
	t.Cleanup(client.close)
	if protocol == HTTP3 {
		client.Transport = &http3.Transport{
			TLSClientConfig:    c.tls(as),
			DisableCompression: true,
			Dial: func(ctx context.Context, address string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
				// A client that gives up while it connects tells the server nothing: its stop
				// would wait for a connection that is no more.
				conn, err := as.dialQUIC(context.WithoutCancel(ctx), address, tlsConfig, config)
				if err == nil {
					client.opened(func() { conn.CloseWithError(0, "") })
				}
				return conn, err
			},
		}
		return client
	}
	dialer := new(net.Dialer)
	if as.Address.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(as.Address, 0))
	}
	transport := &http.Transport{
		TLSClientConfig:       c.tls(as),
		DisableCompression:    true,
		ExpectContinueTimeout: Patience,
		Protocols:             new(http.Protocols),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				client.opened(func() { conn.Close() })
			}
			return conn, err
		},
	}
	switch protocol {
	case HTTP1:
		client.URL = "http://" + c.Site
		transport.Protocols.SetHTTP1(true)
	case HTTP1TLS:
		transport.Protocols.SetHTTP1(true)
	case HTTP2:
		transport.Protocols.SetHTTP2(true)
	default:
		panic(fmt.Sprintf("no protocol: %s", protocol))
	}
	client.Transport = transport
	return client
}

// dialQUIC closes the socket with the connection.
func (as As) dialQUIC(ctx context.Context, address string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
	if !as.Address.IsValid() {
		return quic.DialAddrEarly(ctx, address, tlsConfig, config)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	to, err := net.ResolveUDPAddr("udp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(as.Address, 0)))
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.DialEarly(ctx, to, tlsConfig, config)
	if err != nil {
		socket.Close()
		return nil, err
	}
	context.AfterFunc(conn.Context(), func() { transport.Close(); socket.Close() })
	return conn, nil
}

// opened notes a connection. Transports dial in the background, so it may be opened when
// nobody needs it any more.
func (c *Client) opened(closeConn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		closeConn()
	}
	c.conns = append(c.conns, closeConn)
}

func (c *Client) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.Disconnect()
}

// Connections returns the number of connections that the client has opened.
func (c *Client) Connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns)
}

// Disconnect closes all connections of the client, including those in use.
func (c *Client) Disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, closeConn := range c.conns {
		closeConn()
	}
}

// Get is like the function [Get] for a path and query, with the client's protocol.
func (c *Client) Get(ctx context.Context, path string, header ...string) <-chan Answer {
	answered := make(chan Answer, 1)
	go func() { answered <- c.Do(ctx, http.MethodGet, path, "", header...) }()
	return answered
}

// Do is like the function [Do] for a path and query, with the client's protocol.
func (c *Client) Do(ctx context.Context, method, path, body string, header ...string) Answer {
	return DoWith(ctx, c.Transport, method, c.URL+path, body, header...)
}
