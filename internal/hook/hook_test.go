package hook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/lot"
)

const maxMessage = 64

// memoryBoard remembers what was published, and reports the channels it is given.
type memoryBoard struct {
	waiting []lot.ChannelWaiting // in order of name
	fail    error

	mu     sync.Mutex // guards events
	events []brokers.Publication
}

func (b *memoryBoard) Publish(ctx context.Context, p brokers.Publication) (brokers.Published, error) {
	if err := errors.Join(b.fail, ctx.Err()); err != nil {
		return brokers.Published{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, earlier := range b.events {
		if p.ID != "" && p.ID == earlier.ID && p.Channel == earlier.Channel {
			return brokers.Published{Position: brokers.Position{Epoch: "e", Offset: uint64(i + 1)}, Duplicate: true}, nil
		}
	}
	b.events = append(b.events, p)
	position := brokers.Position{Epoch: "e", Offset: uint64(len(b.events))}
	return brokers.Published{Position: position, Released: b.Waiting(p.Channel).Requests}, nil
}

func (b *memoryBoard) Position() brokers.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return brokers.Position{Epoch: "e", Offset: uint64(len(b.events))}
}

func (b *memoryBoard) Waiting(channel string) lot.Waiting {
	for _, w := range b.waiting {
		if w.Channel == channel {
			return w.Waiting
		}
	}
	return lot.Waiting{}
}

func (b *memoryBoard) WaitingAfter(_, after string, limit int) []lot.ChannelWaiting {
	var page []lot.ChannelWaiting
	for _, w := range b.waiting {
		if w.Channel > after && len(page) < limit {
			page = append(page, w)
		}
	}
	return page
}

func (b *memoryBoard) published() []brokers.Publication {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

func newHook(t testing.TB, board Board, tokens, allow []string) *Hook {
	t.Helper()
	h, err := New(board, tokens, allow, maxMessage)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serveLoopback starts a server of the hook, and returns its address.
func serveLoopback(t *testing.T, board Board, tokens ...string) string {
	t.Helper()
	server := httptest.NewServer(newHook(t, board, tokens, nil))
	t.Cleanup(server.Close)
	return server.URL
}

// call makes a request and returns the answer with its body.
func call(t *testing.T, client *http.Client, method, target, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(answer)
}

// checkProblem wants a whole problem body that agrees with the status.
func checkProblem(t testing.TB, status int, header http.Header, body string) Problem {
	t.Helper()
	if got := header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("status %d has Content-Type %q", status, got)
	}
	var p Problem
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("status %d has the body %q: %v", status, body, err)
	}
	if p.Type != "about:blank" || p.Status != status || p.Title != http.StatusText(status) || !strings.HasSuffix(p.Detail, ".") {
		t.Errorf("status %d has the problem %+v", status, p)
	}
	checkCommon(t, header)
	return p
}

// checkCommon wants what every answer says.
func checkCommon(t testing.TB, header http.Header) {
	t.Helper()
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the answer may be stored or sniffed: %v", header)
	}
}

func TestHookAnswersRefusalsWithProblem(t *testing.T) {
	board := &memoryBoard{}
	const token = "s3cret.token"
	open := serveLoopback(t, board)
	guarded := serveLoopback(t, board, "other", token)
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name, server, method, target, body string
		fields                             []string
		want                               int
		field, value                       string // one more field of the answer
	}{
		{"no channel", open, "POST", "/", "", nil, 400, "", ""},
		{"an empty channel", open, "POST", "/a?channel=", "", nil, 400, "", ""},
		{"a long channel", open, "POST", "/" + long, "", nil, 400, "", ""},
		{"a long channel by query", open, "PUT", "/?channel=" + long, "", nil, 400, "", ""},
		{"a control character in the path", open, "POST", "/a%0d%0aSet-Cookie:b", "", nil, 400, "", ""},
		{"a control character in the query", open, "POST", "/?channel=a%00", "", nil, 400, "", ""},
		{"not UTF-8", open, "POST", "/%ff", "", nil, 400, "", ""},
		{"two channels", open, "POST", "/?channel=a&channel=b", "", nil, 400, "", ""},
		{"a query that cannot be read", open, "POST", "/a?channel=%zz", "", nil, 400, "", ""},
		{"a report on no channel", open, "GET", "/?channel=", "", nil, 400, "", ""},
		{"a limit of 0", open, "GET", "/?limit=0", "", nil, 400, "", ""},
		{"a limit above 1000", open, "GET", "/?limit=1001", "", nil, 400, "", ""},
		{"a limit that is no number", open, "GET", "/?limit=ten", "", nil, 400, "", ""},
		{"no media type", open, "POST", "/a", "x", []string{"Content-Type", "text"}, 400, "", ""},
		{"a broken parameter", open, "POST", "/a", "x", []string{"Content-Type", "text/plain; charset"}, 400, "", ""},
		{"a media type beyond ASCII", open, "POST", "/a", "x", []string{"Content-Type", `text/plain; a="ü"`}, 400, "", ""},
		{"a long media type", open, "POST", "/a", "x", []string{"Content-Type", "text/" + long}, 400, "", ""},
		{"a coded body", open, "POST", "/a", "x", []string{"Content-Encoding", "gzip"}, 415, "Accept-Encoding", "identity"},
		{"an event without a body", open, "POST", "/a", "", []string{"Parker-Event", "news"}, 400, "", ""},
		{"a long event", open, "POST", "/a", "x", []string{"Parker-Event", long}, 400, "", ""},
		{"an event that is not UTF-8", open, "POST", "/a", "x", []string{"Parker-Event", "\xff"}, 400, "", ""},
		{"an event with a tab", open, "POST", "/a", "x", []string{"Parker-Event", "a\tb"}, 400, "", ""},
		{"an event with a C1 control character", open, "POST", "/a", "x", []string{"Parker-Event", "a\u0085b"}, 400, "", ""},
		{"no number of seconds", open, "POST", "/a", "", []string{"Parker-Expires", ""}, 400, "", ""},
		{"seconds below 0", open, "POST", "/a", "", []string{"Parker-Expires", "-1"}, 400, "", ""},
		{"a sign", open, "POST", "/a", "", []string{"Parker-Expires", "+1"}, 400, "", ""},
		{"seconds with a comma", open, "POST", "/a", "", []string{"Parker-Expires", "0,5"}, 400, "", ""},
		{"a date", open, "POST", "/a", "", []string{"Parker-Expires", "Thu, 01 Dec 1994 16:00:00 GMT"}, 400, "", ""},
		{"seconds in other digits", open, "POST", "/a", "", []string{"Parker-Expires", "٣"}, 400, "", ""},
		{"an empty ID", open, "POST", "/a", "x", []string{"Parker-Id", ""}, 400, "", ""},
		{"a long ID", open, "POST", "/a", "x", []string{"Parker-Id", long}, 400, "", ""},
		{"an ID that is not UTF-8", open, "POST", "/a", "x", []string{"Parker-Id", "\xff"}, 400, "", ""},
		{"an ID with a tab", open, "POST", "/a", "x", []string{"Parker-Id", "a\tb"}, 400, "", ""},
		{"an ID with a hidden character", open, "POST", "/a", "x", []string{"Parker-Id", "a\u200bb"}, 400, "", ""},
		{"too large", open, "POST", "/a", strings.Repeat("x", maxMessage+1), nil, 413, "", ""},
		{"delete", open, "DELETE", "/a", "", nil, 405, "Allow", "GET, HEAD, POST, PUT"},
		{"options", open, "OPTIONS", "/a", "", nil, 405, "Allow", "GET, HEAD, POST, PUT"},
		{"an unknown method", open, "BREW", "/a", "", nil, 405, "Allow", "GET, HEAD, POST, PUT"},

		{"another site's page", open, "POST", "/a", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "", ""},
		{"a sibling site's page", open, "PUT", "/a", "", []string{"Sec-Fetch-Site", "same-site"}, 403, "", ""},
		{"another origin's page", open, "POST", "/a", "", []string{"Origin", "http://evil.example"}, 403, "", ""},
		{"a page without an origin", open, "POST", "/a", "", []string{"Origin", "null"}, 403, "", ""},
		{"a page with a token", guarded, "POST", "/a", "", []string{"Origin", "http://evil.example", "Authorization", "Bearer " + token}, 403, "", ""},

		{"no token", guarded, "POST", "/a", "", nil, 401, "WWW-Authenticate", `Bearer realm="parker"`},
		{"no token for a report", guarded, "GET", "/", "", nil, 401, "WWW-Authenticate", `Bearer realm="parker"`},
		{"no token for a wrong method", guarded, "DELETE", "/a", "", nil, 401, "WWW-Authenticate", `Bearer realm="parker"`},
		{"another scheme", guarded, "POST", "/a", "", []string{"Authorization", "Basic " + token}, 401, "WWW-Authenticate", `Bearer realm="parker"`},
		{"an empty token", guarded, "POST", "/a", "", []string{"Authorization", "Bearer "}, 401, "WWW-Authenticate", `Bearer realm="parker"`},
		{"a wrong token", guarded, "POST", "/a", "", []string{"Authorization", "Bearer wr0ng"}, 401, "WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`},
		{"half a token", guarded, "POST", "/a", "", []string{"Authorization", "Bearer s3cret"}, 401, "WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`},
		{"two tokens", guarded, "POST", "/a", "", []string{"Authorization", "Bearer other " + token}, 401, "WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := call(t, http.DefaultClient, c.method, c.server+c.target, c.body, c.fields...)
			if response.StatusCode != c.want {
				t.Fatalf("status %d, want %d: %s", response.StatusCode, c.want, body)
			}
			checkProblem(t, response.StatusCode, response.Header, body)
			if c.field != "" && response.Header.Get(c.field) != c.value {
				t.Errorf("%s: %q, want %q", c.field, response.Header.Get(c.field), c.value)
			}
			if strings.Contains(body, "s3cret") || strings.Contains(body, "wr0ng") {
				t.Errorf("the answer tells a token: %s", body)
			}
		})
	}
	if events := board.published(); len(events) != 0 {
		t.Errorf("refused requests published %v", events)
	}
}

func TestGateAdmitsAnyToken(t *testing.T) {
	board := &memoryBoard{}
	server := serveLoopback(t, board, "first", "second")
	for _, authorization := range []string{"Bearer first", "Bearer second", "bearer second", "BEARER  first"} {
		response, body := call(t, http.DefaultClient, "POST", server+"/a", "", "Authorization", authorization)
		if response.StatusCode != 200 {
			t.Errorf("%s: status %d: %s", authorization, response.StatusCode, body)
		}
	}
}

// peerStatus is the status that a publish from a peer of this address gets,
// whatever address it says it forwards for.
func peerStatus(t *testing.T, h *Hook, remoteAddr string, fields ...string) int {
	t.Helper()
	r := httptest.NewRequest("POST", "/a", nil)
	r.RemoteAddr = remoteAddr
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= 400 {
		checkProblem(t, w.Code, w.Header(), w.Body.String())
	}
	return w.Code
}

func TestGateAdmitsByAddressOfPeer(t *testing.T) {
	for _, c := range []struct {
		allow []string
		peer  string
		want  int
	}{
		{nil, "127.0.0.1:1", 200},
		{nil, "127.8.9.10:1", 200},
		{nil, "[::1]:1", 200},
		{nil, "[::1%lo]:1", 200},
		{nil, "[::ffff:127.0.0.1]:1", 200},
		{nil, "10.0.0.1:1", 403},
		{nil, "192.0.2.1:1", 403},
		{nil, "[2001:db8::1]:1", 403},
		{nil, "[::ffff:192.0.2.1]:1", 403},
		{nil, "", 403},
		{nil, "@", 403},
		{nil, "localhost:1", 403},
		{nil, "127.0.0.1", 403},
		{[]string{"192.0.2.0/24"}, "192.0.2.7:1", 200},
		{[]string{"192.0.2.0/24"}, "[::ffff:192.0.2.7]:1", 200},
		{[]string{"192.0.2.0/24"}, "127.0.0.1:1", 403},
		{[]string{"192.0.2.0/24", "2001:db8::1"}, "[2001:db8::1]:1", 200},
		{[]string{"192.0.2.0/24", "2001:db8::1"}, "[2001:db8::2]:1", 403},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:1", 200},
		{[]string{"::ffff:192.0.2.0/120"}, "192.0.2.7:1", 200},
		{[]string{"::ffff:192.0.2.7"}, "192.0.2.7:1", 200},
		{[]string{"private_ranges"}, "10.1.2.3:1", 200},
		{[]string{"private_ranges"}, "[::1]:1", 200},
		{[]string{"private_ranges"}, "192.0.2.1:1", 403},
	} {
		if got := peerStatus(t, newHook(t, &memoryBoard{}, nil, c.allow), c.peer); got != c.want {
			t.Errorf("allow %q: the peer %q gets %d, want %d", c.allow, c.peer, got, c.want)
		}
	}
}

func TestGateIgnoresForwardedAddress(t *testing.T) {
	h := newHook(t, &memoryBoard{}, nil, nil)
	if got := peerStatus(t, h, "192.0.2.1:1", "X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1", "X-Real-IP", "127.0.0.1"); got != 403 {
		t.Errorf("a peer that says it forwards for loopback gets %d", got)
	}
}

func TestGateRequiresAddressAndToken(t *testing.T) {
	h := newHook(t, &memoryBoard{}, []string{"t0ken"}, []string{"192.0.2.1"})
	for _, c := range []struct {
		peer, authorization string
		want                int
	}{
		{"192.0.2.1:1", "Bearer t0ken", 200},
		{"192.0.2.1:1", "Bearer wrong", 401},
		{"192.0.2.2:1", "Bearer t0ken", 403},
		{"192.0.2.2:1", "Bearer wrong", 403},
	} {
		if got := peerStatus(t, h, c.peer, "Authorization", c.authorization); got != c.want {
			t.Errorf("%s with %q gets %d, want %d", c.peer, c.authorization, got, c.want)
		}
	}
}

func TestGateAdmitsUnixSocket(t *testing.T) {
	board := &memoryBoard{}
	listener, err := net.Listen("unix", t.TempDir()+"/hook")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(newHook(t, board, nil, []string{"192.0.2.1"}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	response, body := call(t, client, "POST", "http://hook/rooms/7", "")
	if response.StatusCode != 200 || len(board.published()) != 1 {
		t.Errorf("status %d: %s", response.StatusCode, body)
	}
}

func TestGateAdmitsOwnOriginUnlessNameCouldBeRebound(t *testing.T) {
	for _, c := range []struct {
		host   string
		tokens []string
		want   int
	}{
		{"127.0.0.1:9080", nil, 200},
		{"[::1]:9080", nil, 200},
		{"localhost:9080", nil, 200},
		{"hook.localhost:9080", nil, 200},
		{"rebound.example:9080", nil, 403},
		{"hook.example:9080", []string{"t0ken"}, 200},
	} {
		h := newHook(t, &memoryBoard{}, c.tokens, nil)
		r := httptest.NewRequest("POST", "http://"+c.host+"/a", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Origin", "http://"+c.host)
		r.Header.Set("Authorization", "Bearer t0ken")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("a page of %s with tokens %q gets %d, want %d", c.host, c.tokens, w.Code, c.want)
		}
	}
}

func TestNewRefusesWrongConfigurationByName(t *testing.T) {
	for _, c := range []struct {
		tokens, allow []string
		want          string
	}{
		{[]string{"good", ""}, nil, "token 2 is empty"},
		{[]string{"s3cret token"}, nil, "token 1 "},
		{[]string{"s3cret\n"}, nil, "token 1 "},
		{nil, []string{"127.0.0.1", "10.0.0.0/33"}, "10.0.0.0/33"},
		{nil, []string{"localhost"}, "localhost"},
		{nil, []string{""}, "''"},
	} {
		_, err := New(&memoryBoard{}, c.tokens, c.allow, maxMessage)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("tokens %q, allow %q: error %v, want one with %q", c.tokens, c.allow, err, c.want)
		}
	}
}
