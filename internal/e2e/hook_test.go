package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// hookSite has hooks of each kind.
const hookSite = `
{
	{$GLOBAL}
	parker {
		max_message 1KB
	}
}
http://{$SITE} {
	handle_path /hook/* {
		parker_publish
	}
	handle_path /closed/* {
		parker_publish {
			allow 192.0.2.0/24 2001:db8::/32
		}
	}
	handle_path /tokens/* {
		parker_publish {
			token one two
			token {env.HOOK_TOKEN}
		}
	}
	parker {
		max_body 64KB 10s # all poll at once
	}
	reverse_proxy {$BACKEND}
}
http://:{$OPEN_PORT} {
	parker_publish
}
http://hook.internal {
	bind unix/{$SOCKET}
	parker_publish {
		allow 192.0.2.1
	}
}
http://{$HOOK} {
	parker_publish
}
`

// hooks is a Caddy that serves hookSite.
type hooks struct {
	*caddytest.Caddy
	pages        *caddytest.Pages
	open, socket string // the open hook's port, and the unix socket
}

func startHooks(t *testing.T) hooks {
	t.Parallel()
	_, port, _ := net.SplitHostPort(caddytest.FreePorts(t, 1)[0])
	// Socket paths must be short, and those of test directories may not be.
	dir, err := os.MkdirTemp("", "pk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := hooks{pages: caddytest.NewPages(t), open: port, socket: filepath.Join(dir, "hook")}
	h.Caddy = caddytest.Start(t, hookSite, h.pages.Address, "OPEN_PORT="+h.open, "SOCKET="+h.socket, "HOOK_TOKEN=three")
	for network, address := range map[string]string{"tcp": "127.0.0.1:" + h.open, "unix": h.socket} {
		caddytest.Await(t, "Caddy serves "+address, func() bool {
			conn, err := net.Dial(network, address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
	return h
}

// park parks a poll on the channel that its path names.
func (h hooks) park(t *testing.T, channel string) <-chan caddytest.Answer {
	t.Helper()
	h.pages.Put("/"+channel, emptyList)
	parked := caddytest.Get(t.Context(), "http://"+h.Site+"/"+(&url.URL{Path: channel}).EscapedPath())
	h.AwaitWaiting(t, url.PathEscape(channel), 1)
	return parked
}

func TestHookRefusesWithProblemBody(t *testing.T) {
	h := startHooks(t)
	long, over := strings.Repeat("c", 256), strings.Repeat("x", 1001)
	for _, x := range []struct {
		method, path, body string
		header             []string
		status             int
		wants              string // a field of the answer and a part of its value
	}{
		{"POST", "/hook/", "", nil, 400, ""},
		{"POST", "/hook/" + long, "", nil, 400, ""},
		{"POST", "/hook/a%0Ab", "", nil, 400, ""},
		{"POST", "/hook/a%FFb", "", nil, 400, ""},
		{"POST", "/hook/a?channel=b&channel=c", "", nil, 400, ""},
		{"POST", "/hook/a?channel=", "", nil, 400, ""},
		{"POST", "/hook/a?channel=%zz", "", nil, 400, ""},
		{"GET", "/hook/" + long, "", nil, 400, ""},
		{"GET", "/hook/?limit=0", "", nil, 400, ""},
		{"GET", "/hook/?limit=many", "", nil, 400, ""},
		{"POST", "/hook/a", "x", []string{"Content-Type: nonsense"}, 400, ""},
		{"POST", "/hook/a", "x", []string{"Content-Encoding: gzip"}, 415, "Accept-Encoding: identity"},
		{"POST", "/tokens/a", "x", nil, 401, `WWW-Authenticate: Bearer realm="parker"`},
		{"POST", "/tokens/a", "x", []string{"Authorization: Bearer onetwo"}, 401, `WWW-Authenticate: Bearer realm="parker", error="invalid_token"`},
		{"POST", "/tokens/a", "x", []string{"Authorization: Basic b25lOm9uZQ=="}, 401, `WWW-Authenticate: Bearer realm="parker"`},
		{"POST", "/tokens/a?token=one", "x", nil, 401, `WWW-Authenticate: Bearer realm="parker"`},
		{"GET", "/tokens/", "", nil, 401, `WWW-Authenticate: Bearer realm="parker"`},
		{"POST", "/closed/a", "x", nil, 403, ""},
		{"GET", "/closed/", "", nil, 403, ""},
		{"POST", "/closed/a", "x", []string{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"}, 403, ""},
		{"POST", "/hook/a", "x", []string{"Sec-Fetch-Site: cross-site", "Origin: https://example.org"}, 403, ""},
		{"POST", "/hook/a", "x", []string{"Origin: http://example.org"}, 403, ""},
		{"DELETE", "/hook/a", "", nil, 405, "Allow: GET, HEAD, POST, PUT"},
		{"PATCH", "/hook/a", "x", nil, 405, "Allow: GET, HEAD, POST, PUT"},
		{"OPTIONS", "/hook/a", "", nil, 405, "Allow: GET, HEAD, POST, PUT"},
		{"POST", "/hook/a", over, nil, 413, ""},
		{"PUT", "/hook/a", over, nil, 413, ""},
	} {
		g := caddytest.Do(t.Context(), x.method, "http://"+h.Site+x.path, x.body, x.header...)
		var problem struct {
			Type, Title, Detail string
			Status              int
		}
		err := json.Unmarshal([]byte(g.Body), &problem)
		if err != nil || g.Status != x.status || problem.Status != x.status || problem.Type != "about:blank" ||
			problem.Title != http.StatusText(x.status) || problem.Detail == "" ||
			g.Header.Get("Content-Type") != "application/problem+json" || g.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s %q was answered %+v, want %d", x.method, x.path, x.header, g, x.status)
		}
		if name, value, _ := strings.Cut(x.wants, ": "); name != "" && g.Header.Get(name) != value {
			t.Errorf("%s %s %q was answered with %s: %s", x.method, x.path, x.header, name, g.Header.Get(name))
		}
		if closed := strings.HasPrefix(x.path, "/closed/"); closed != strings.Contains(problem.Detail, "The option allow of parker_publish") {
			t.Errorf("%s %s got the detail: %s", x.method, x.path, problem.Detail)
		}
		for _, secret := range []string{"one", "two", "three"} {
			if strings.Contains(g.Body, `"`+secret) {
				t.Errorf("the refusal of %s %s contains a token: %s", x.method, x.path, g.Body)
			}
		}
	}

	// The length of a chunked body is known only when it has been read.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.Site+"/hook/a", io.MultiReader(strings.NewReader(over)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || answer.StatusCode != 413 {
		t.Errorf("a body in chunks was answered %+v, %v", answer, err)
	}
}

func TestHookAcceptsEachToken(t *testing.T) {
	h := startHooks(t)
	for _, authorization := range []string{"Bearer one", "bearer two", "Bearer three"} {
		parked := h.park(t, "a")
		g := caddytest.Do(t.Context(), http.MethodPost, "http://"+h.Site+"/tokens/a", authorization, "Authorization: "+authorization)
		if g.Status != 200 || !strings.Contains(g.Body, `"released":1`) {
			t.Errorf("%s was answered %+v", authorization, g)
			continue
		}
		if g := <-parked; g.Body != authorization {
			t.Errorf("%s: the poll was answered %+v", authorization, g)
		}
	}
}

func TestHookAllowsLoopbackOnly(t *testing.T) {
	h := startHooks(t)
	for _, address := range machineAddresses(t) {
		want := http.StatusForbidden
		if address.IsLoopback() {
			want = http.StatusOK
		}
		url := "http://" + net.JoinHostPort(address.String(), h.open) + "/a"
		if g := caddytest.Do(t.Context(), http.MethodPost, url, "x"); g.Status != want {
			t.Errorf("%s was answered %+v, want %d", url, g, want)
		}
	}
}

// machineAddresses returns the addresses of this machine. A connection to one of them
// also comes from it.
func machineAddresses(t *testing.T) []net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var addresses []net.IP
	for _, address := range all {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() {
			addresses = append(addresses, network.IP)
		}
	}
	return addresses
}

func TestHookAllowsUnixSocket(t *testing.T) {
	h := startHooks(t)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", h.socket)
	}}
	defer transport.CloseIdleConnections()
	parked := h.park(t, "a")
	if g := caddytest.DoWith(t.Context(), transport, http.MethodPut, "http://hook.internal/a", "hello"); g.Status != 200 {
		t.Errorf("the socket was answered %+v", g)
	}
	if g := <-parked; g.Body != "hello" {
		t.Errorf("the poll was answered %+v", g)
	}
}

func TestHookPublishesOnChannelOfURL(t *testing.T) {
	h := startHooks(t)
	for path, channel := range map[string]string{
		"/hook/a":                             "a",
		"/hook/rooms/7":                       "rooms/7",
		"/hook/rooms%2F7%20b":                 "rooms/7 b",
		"/hook/100%25":                        "100%",
		"/hook/%2525":                         "%25",
		"/hook/gr%C3%BC%C3%9Fe":               "grüße",
		"/hook//x":                            "x", // handle_path takes off /hook/, and a slash is left
		"/hook/other?channel=a%20%26%20b":     "a & b",
		"/hook/?channel=%2Fx%2F..%2Fy%3Fz%23": "/x/../y?z#",
	} {
		var published struct {
			Channel, Position string
			Released          int
		}
		g := caddytest.Do(t.Context(), http.MethodPost, "http://"+h.Site+path, "hello")
		if err := json.Unmarshal([]byte(g.Body), &published); err != nil || g.Status != 200 || published.Channel != channel || published.Position == "" {
			t.Errorf("%s was answered %+v, want the channel %s", path, g, channel)
		}
	}
	for _, channel := range []string{"a", "rooms/7 b", "100%", "grüße"} {
		parked := h.park(t, channel)
		h.Publish(t, url.PathEscape(channel), "", "hello")
		if g := <-parked; g.Body != "hello" {
			t.Errorf("on %s, the poll was answered %+v", channel, g)
		}
	}
}

func TestHookKeepsContentTypeOfMessage(t *testing.T) {
	h := startHooks(t)
	for _, x := range []struct{ declared, body, want string }{
		{"", `{"a":1}`, "application/json"},
		{"", "hello", "text/plain; charset=utf-8"},
		{"application/x-www-form-urlencoded", `[1]`, "application/json"},
		{"application/x-www-form-urlencoded", "a=1", "text/plain; charset=utf-8"},
		{"text/html; charset=utf-8", "<p>{{.}}</p>", "text/html; charset=utf-8"},
		{"application/octet-stream", "\x00\xff", "application/octet-stream"},
	} {
		parked := h.park(t, "a")
		h.Publish(t, "a", x.declared, x.body)
		if g := <-parked; g.Body != x.body || g.Header.Get("Content-Type") != x.want {
			t.Errorf("%q as %q was answered %+v", x.body, x.declared, g)
		}
	}
	parked := h.park(t, "a")
	h.pages.Put("/a", caddytest.Page{Body: "[1]"})
	h.Publish(t, "a", "application/json", "")
	if g := <-parked; g.Body != "[1]" || g.Release() != "replay" {
		t.Errorf("without a body, the poll was answered %+v", g)
	}
}

func TestHookListsChannelsWithWaitingRequests(t *testing.T) {
	h := startHooks(t)
	const channels = 120
	var names []string
	var parked []<-chan caddytest.Answer
	for i := range channels {
		names = append(names, fmt.Sprintf("room/%03d", i))
		h.pages.Put("/"+names[i], emptyList)
		for range i%2 + 1 {
			parked = append(parked, caddytest.Get(t.Context(), "http://"+h.Site+"/"+names[i]))
		}
	}
	for i, name := range names {
		h.AwaitWaiting(t, name, i%2+1)
	}
	for query, pages := range map[string]int{"": 2, "?limit=50": 3, "?limit=7": 18, "?limit=120": 1, "?limit=1000": 1} {
		var listed []string
		got := 0
		for next := query; ; got++ {
			page := h.list(t, next)
			for _, entry := range page.Channels {
				listed = append(listed, entry.Channel)
				if i := slices.Index(names, entry.Channel); i < 0 || entry.Waiting != i%2+1 {
					t.Errorf("%s%s: %+v", h.Hook, next, entry)
				}
			}
			if page.link == "" {
				got++
				break
			}
			if next = page.link; !strings.Contains(next, "after="+url.QueryEscape(page.Next)) {
				t.Fatalf("the link is %s, and next is %q", next, page.Next)
			}
		}
		if got != pages || !slices.Equal(listed, names) {
			t.Errorf("%q: %d pages list %q", query, got, listed)
		}
	}
	for i, name := range names {
		if published := h.Publish(t, name, "", "x"); !strings.Contains(published, fmt.Sprintf(`"released":%d`, i%2+1)) {
			t.Errorf("%s: the hook answered %s", name, published)
		}
	}
	for _, answered := range parked {
		if g := <-answered; g.Body != "x" {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	if page := h.list(t, ""); len(page.Channels) != 0 || page.link != "" {
		t.Errorf("with no waiting requests, the list is %+v", page)
	}
	if g := caddytest.Do(t.Context(), http.MethodHead, "http://"+h.Hook+"/", ""); g.Status != 200 || g.Body != "" {
		t.Errorf("HEAD was answered %+v", g)
	}
}

// listing is a page of the list of channels.
type listing struct {
	Position string
	Channels []struct {
		Channel          string
		Waiting, Streams int
	}
	Next string

	link string // the next page in the Link field, relative to this one
}

func (h hooks) list(t *testing.T, query string) (page listing) {
	t.Helper()
	g := caddytest.Do(t.Context(), http.MethodGet, "http://"+h.Hook+"/"+query, "")
	if err := json.Unmarshal([]byte(g.Body), &page); err != nil || g.Status != 200 || page.Channels == nil || page.Position == "" {
		t.Fatalf("the hook answered %+v", g)
	}
	if link := g.Header.Get("Link"); link != "" {
		target, relation, _ := strings.Cut(link, "; ")
		if relation != `rel="next"` {
			t.Errorf("the link is %s", link)
		}
		page.link = strings.Trim(target, "<>")
	}
	return page
}
