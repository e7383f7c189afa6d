package response

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// protocols are those that can be served in a synctest bubble.
var protocols = []string{"HTTP 1.1", "HTTP 2"}

// site serves a handler over pipes without buffers, so that a client which does not read
// is noticed at once. It belongs to a synctest bubble.
type site struct {
	server    http.Server
	transport http.Transport
	conns     chan net.Conn
}

// serve returns a site. Its stop must be called in the same bubble.
func serve(protocol string, handler http.HandlerFunc) *site {
	s := &site{conns: make(chan net.Conn)}
	s.server.Handler = handler
	s.server.Protocols, s.transport.Protocols = new(http.Protocols), new(http.Protocols)
	for _, p := range []*http.Protocols{s.server.Protocols, s.transport.Protocols} {
		p.SetHTTP1(protocol == "HTTP 1.1")
		p.SetUnencryptedHTTP2(protocol == "HTTP 2")
	}
	s.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		s.conns <- server
		return client, nil
	}
	return s
}

func (s *site) start() *site {
	go s.server.Serve(s)
	return s
}

func (s *site) stop() {
	s.transport.CloseIdleConnections()
	s.server.Close()
}

// Accept implements [net.Listener].
func (s *site) Accept() (net.Conn, error) {
	conn, ok := <-s.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// Close implements [net.Listener]. The server calls it once.
func (s *site) Close() error {
	close(s.conns)
	return nil
}

// Addr implements [net.Listener].
func (*site) Addr() net.Addr { return &net.UnixAddr{Net: "pipe"} }

func (s *site) get(t *testing.T, ctx context.Context) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://site.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// pass answers as a route does, with the writer that Attend returns.
func pass(client http.ResponseWriter, r *http.Request, header http.Header, heartbeat time.Duration, body func(w http.ResponseWriter)) {
	maps.Copy(client.Header(), header)
	limits := LimitsOf(client, r)
	w := Attend(client, r, &limits, http.StatusOK, heartbeat)
	defer w.Close()
	w.WriteHeader(http.StatusOK)
	body(w)
}

// passed returns a handler that calls pass.
func passed(header http.Header, heartbeat time.Duration, body func(w http.ResponseWriter)) http.HandlerFunc {
	return func(client http.ResponseWriter, r *http.Request) { pass(client, r, header, heartbeat, body) }
}

func stream() http.Header { return http.Header{"Content-Type": {"text/event-stream"}} }
func chunked() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Via": {"1.1 Caddy"}}
}

// read waits for the next bytes.
func read(t *testing.T, response *http.Response) string {
	t.Helper()
	buffer := make([]byte, 4096)
	n, err := response.Body.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// memory is the writer of a client. It notes what reaches the client, and when.
type memory struct {
	header http.Header
	start  time.Time

	// accept, if it is not nil, is called for each write, which returns its error.
	accept func() error

	mu       sync.Mutex // guards all below
	buffered bytes.Buffer
	arrived  []string
	deadline time.Time
	ended    bool // the request's handler has returned
}

func newMemory() *memory { return &memory{header: http.Header{}, start: time.Now()} }

// get returns a request for a memory.
func get() *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "http://site.test/", nil)
	return r
}

func (m *memory) Header() http.Header { return m.header }

func (m *memory) WriteHeader(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprint(&m.buffered, status)
}

func (m *memory) Write(p []byte) (int, error) {
	if m.accept != nil {
		if err := m.accept(); err != nil {
			return 0, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deadline.IsZero() {
		return 0, errors.New("a write without a deadline")
	}
	return m.buffered.Write(p)
}

func (m *memory) FlushError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrived = append(m.arrived, fmt.Sprintf("%v %s", time.Since(m.start), &m.buffered))
	m.buffered.Reset()
	return nil
}

func (m *memory) SetWriteDeadline(deadline time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		panic("a deadline is set after the end of the request")
	}
	m.deadline = deadline
	return nil
}

// got returns what has reached the client, one element for each flush.
func (m *memory) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.arrived
}
