package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// expectNoInjection checks that no line of a header or a stream, whose lines end with CR, LF or
// both, is an injected field.
func expectNoInjection(t *testing.T, what, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s is empty", what)
	}
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		line = strings.ToLower(line)
		for _, begin := range []string{"evil", "x-evil", "event: evil", "event:evil", "id: evil", "id:evil", "retry: 7", "retry:7", "set-cookie"} {
			if strings.HasPrefix(line, begin) {
				t.Errorf("%s has the line %q", what, line)
			}
		}
	}
}

// smuggled are ways to end a line of a header or a stream and begin a new one.
var smuggled = []string{
	"\rX-Evil: 1", "\nX-Evil: 1", "\r\n\tX-Evil: 1", "\x00X-Evil: 1", "\r\r\nX-Evil: 1", "\x0bX-Evil: 1", "\u0085X-Evil: 1", "\u2028X-Evil: 1",
	"\r\rdata: evil", "\x85evil", "\x8d\x8aevil: 1", "%0d%0aX-Evil: 1", `\r\nX-Evil: 1`, "\xe5\x98\x8a\xe5\x98\x8dX-Evil: 1",
}

func TestPublishedFieldsCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	stream := caddytest.DialRaw(t, caddy.Site)
	stream.Send("GET /news HTTP/1.1\r\nHost: " + caddy.Site + "\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n")
	awaitStreams(t, caddy, "news", 1)
	publish := func(target, fields, body string) {
		client := caddytest.DialRaw(t, caddy.Hook)
		client.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", target, caddy.Hook, len(body), fields, body))
		answered := client.Rest(t)
		expectNoInjection(t, "the hook's answer to "+target+fields, answered)
	}
	for i, end := range smuggled {
		for _, fields := range []string{
			"Content-Type: text/plain" + end + "\r\n",
			"Content-Type: text/plain; a=\"" + end + "\"\r\n",
			"Parker-Event: news" + end + "\r\n",
			"Parker-Id: " + fmt.Sprint(i) + end + "\r\n",
			"Parker-Expires: 60" + end + "\r\n",
		} {
			before := position(t, caddy)
			publish("/news", fields, "x")
			publish("/news", "", "x"+end+"\n\nevent: evil\nid: evil\ndata: evil\r\rretry: 7\r\n\r\nid:evil\r: \n")
			for _, header := range []string{"", "Accept: application/json\r\n"} {
				client := caddytest.DialRaw(t, caddy.Site)
				client.Send("GET /news?batch=true&last_event_id=" + before + " HTTP/1.1\r\nHost: " + caddy.Site + "\r\nConnection: close\r\nPrefer: wait=0\r\n" + header + "\r\n")
				answered := client.Rest(t)
				head, _, _ := strings.Cut(answered, "\r\n\r\n")
				expectNoInjection(t, "the answer to what was published with "+fields, head)
				if !strings.Contains(head, "release=history") {
					t.Errorf("the publish with %q was answered %s", fields, answered)
				}
			}
		}
		for _, target := range []string{"/news" + url.PathEscape(end), "/?channel=news" + url.QueryEscape(end), "/news?channel=" + url.QueryEscape(end), "/?limit=1&after=" + url.QueryEscape(end)} {
			publish(target, "", "x")
			expectNoInjection(t, "the hook's answer for "+target, caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+target, "").Body)
		}
	}
	caddy.Stop(t)
	heard := stream.Rest(t)
	expectNoInjection(t, "the stream", heard)
	if !strings.Contains(heard, "data: event: evil") {
		t.Errorf("the stream lacks the published message: %s", heard)
	}
}

// A value that a client sends is repeated only if it was understood.
func TestClientFieldsCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("timeout 100ms"))
	for _, end := range smuggled {
		for _, fields := range []string{
			"Last-Event-ID: parker.a-1" + end, "Prefer: wait=0" + end, "Prefer: wait=\"0" + end + "\"", "If-None-Match: \"" + end, "Accept: text/plain" + end, "Cookie: a=1" + end,
		} {
			client := caddytest.DialRaw(t, caddy.Site)
			client.Send("GET /news?evil=" + url.QueryEscape(end) + "&last_event_id=parker.a-1" + url.QueryEscape(end) + " HTTP/1.1\r\nHost: " + caddy.Site + "\r\nConnection: close\r\n" + fields + "\r\nPrefer: wait=0\r\n\r\n")
			answered := client.Rest(t)
			if expectNoInjection(t, "the answer to "+fields, answered); strings.Contains(strings.ToLower(answered), "evil") {
				t.Errorf("%q is repeated in the answer: %s", fields, answered)
			}
		}
	}
}

// What a backend announces does not appear in any answer.
func TestBackendAnnouncementsCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewRawBackend(t, "")
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	for _, end := range smuggled {
		backend.Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nParker-Publish: other" + strings.ReplaceAll(end, "\nX-Evil", "\n X-Evil") + "\r\n\r\n[]")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			client := caddytest.DialRaw(t, caddy.Site)
			client.Send(method + " /news HTTP/1.1\r\nHost: " + caddy.Site + "\r\nConnection: close\r\nContent-Length: 0\r\nPrefer: wait=0\r\n\r\n")
			answered := client.Rest(t)
			if expectNoInjection(t, "the answer", answered); strings.Contains(answered, "Parker-Publish") || strings.Contains(strings.ToLower(answered), "evil") {
				t.Errorf("%q is passed on: %s", end, answered)
			}
		}
	}
}
