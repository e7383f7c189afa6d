package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// guardedSite has a route that requires a password, and an open one. Where the path is
// the channel, its prefix keeps the two apart; where channels come from placeholders, a
// fixed prefix does.
var guardedSite = withHook(`
	request_header X-User anonymous
	@guarded path /private /private/*
	respond @guarded 403
	handle /rooms {
		parker_notify rooms/{query.room}
		parker rooms/{query.room}
	}
	handle /team/* {
		parker_notify teams/{path.1}
		parker teams/{path.1}
	}
	handle {
		parker_notify
		parker
	}
	reverse_proxy {$BACKEND}
`)

// trick is a request target and the only channel that it may wait on. If the channel is
// empty, the request must be refused or not held.
type trick struct{ target, channel string }

var tricks = []trick{
	// The path is the channel, decoded once and never cleaned. Caddy refuses what it
	// matches as the guarded path; anything else is a different channel.
	{"/private", ""},
	{"/private/7", ""},
	{"/%70rivate/7", ""},
	{"/private/../private/7", ""},
	{"/public/../private/7", ""},
	{"/public/%2e%2e/private/7", ""},
	{"/./private/7", ""},
	{"//private/7", ""},
	{"/public//../private/7", ""},
	{"/PRIVATE/7", ""},
	{"/private%2F7", ""},
	{"/private/7/", ""},
	{"/private/7;a=b", ""},
	{"/private/7?channel=private/7", ""},
	{"/private%252F7", "private%2F7"},
	{"/%2570rivate/7", "%70rivate/7"},
	{"/private;/7", "private;/7"},
	{"/private%3B/7", "private;/7"},
	{"/private./7", "private./7"},
	{"/private%20/7", "private /7"},
	{"/private%C2%A0/7", "private\u00a0/7"},
	{"/private%E2%80%8B/7", "private\u200b/7"},
	{"/private%EF%BC%8F7", "private／7"},      // a full-width slash
	{"/%EF%BD%90rivate/7", "ｐrivate/7"},      // a full-width letter
	{"/privat%D0%B5/7", "privatе/7"},         // a Cyrillic one
	{`/private\7`, `private\7`},              // a plain backslash
	{"/private%5C7", `private\7`},            // an encoded backslash
	{"/private%C0%AF7", ""},                  // an overlong slash is invalid UTF-8
	{"/private%00/7", ""},                    // a control character
	{"/private%0A/7", ""},                    //
	{"/private%E2%80%A87", "private\u20287"}, // a line separator is not a control character
	{"/caf%C3%A9", "caf\u00e9"},              // NFC
	{"/cafe%CC%81", "cafe\u0301"},            // NFD
	{"/public/7?channel=private/7", "public/7"},
	{"/public/7#private/7", "public/7#private/7"}, // clients send no fragment, so this is part of the path
	{"/public/7%3Fchannel=private/7", "public/7?channel=private/7"},
	{"/public/{env.HOME}", "public/{env.HOME}"},
	{"/public/%7Bhttp.request.host%7D", "public/{http.request.host}"},
	{"/public/..;/private/7", "public/..;/private/7"},

	// A placeholder gives one channel, with the prefix written before it.
	{"/rooms?room=a", "rooms/a"},
	{"/rooms?room=../private/7", "rooms/../private/7"},
	{"/rooms?room=%2e%2e%2fprivate%2f7", "rooms/../private/7"},
	{"/rooms?room=%252e%252e", "rooms/%2e%2e"},
	{"/rooms?room=/private/7", "rooms//private/7"},
	{"/rooms?room=a&room=private/7", "rooms/a,private/7"},
	{"/rooms?room=a,private/7", "rooms/a,private/7"},
	{"/rooms?room=a%20private/7", "rooms/a private/7"},
	{"/rooms?room=a+private/7", "rooms/a private/7"},
	{"/rooms?room=a&Room=b&room[]=c&room%00=d", "rooms/a"},
	{"/rooms?room=a;room=private/7", ""},
	{"/rooms?room={http.request.header.Cookie}", "rooms/{http.request.header.Cookie}"},
	{"/rooms?room=%7Bfile./etc/passwd%7D", "rooms/{file./etc/passwd}"},
	{"/rooms?room=%0d%0aprivate/7", ""},
	{"/rooms?room=%C0%AE", ""},
	{"/team/red/x", "teams/red"},
	{"/team/red%2Fblue/x", "teams/red"}, // the placeholder is of the decoded path
	{"/team//x", ""},
	{"/team/%252e%252e/x", "teams/%2e%2e"},
}

func TestChannelsStayWithinPlaceholdersForHostilePaths(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards asked
	var asked []string
	caddy := caddytest.Start(t, guardedSite, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.RequestURI)
		mu.Unlock()
		w.Write([]byte("[]"))
	}))
	for _, x := range tricks {
		poll := caddytest.DialRaw(t, caddy.Site)
		poll.Send("GET " + x.target + " HTTP/1.1\r\nHost: " + caddy.Site + "\r\n\r\n")
		before := events(t, caddy)
		if x.channel == "" {
			if g := poll.Answer(); g.Status == 200 && g.Release() != "none" {
				t.Errorf("%s was answered %+v", x.target, g)
			}
			if waiting := channels(t, caddy.Hook); len(waiting) > 0 {
				t.Fatalf("%s waits on %q", x.target, waiting)
			}
		} else {
			caddytest.Await(t, x.target+" waits", func() bool { return len(channels(t, caddy.Hook)) > 0 })
			if waiting := channels(t, caddy.Hook); !slices.Equal(waiting, []string{x.channel}) {
				t.Fatalf("%s waits on %q, want %q", x.target, waiting, x.channel)
			}
			if published := caddy.Publish(t, "?channel="+url.QueryEscape("private/7"), "", "secret"); !strings.Contains(published, `"released":0`) {
				t.Errorf("%s was released: %s", x.target, published)
			}
			// A write releases only polls that wait on the same channel.
			write := caddytest.DialRaw(t, caddy.Site)
			write.Send("POST " + x.target + " HTTP/1.1\r\nHost: " + caddy.Site + "\r\nContent-Length: 0\r\n\r\n")
			if g := write.Answer(); g.Status != 200 {
				t.Errorf("the write to %s was answered %+v", x.target, g)
			}
			if now := events(t, caddy); now != before+2 {
				t.Errorf("%s: there were %d events", x.target, now-before)
			}
			caddy.Publish(t, "?channel="+url.QueryEscape(x.channel), "", "bye")
			if g := poll.Answer(); g.Body != "bye" {
				t.Errorf("%s was answered %+v", x.target, g)
			}
		}
		poll.Close()
		mu.Lock()
		for _, target := range asked {
			if decodedOnce(t, target) != decodedOnce(t, x.target) {
				t.Errorf("for %s, the backend was asked %s", x.target, target)
			}
		}
		asked = nil
		mu.Unlock()
	}
}

// decodedOnce returns the request target with its path decoded, because proxies may
// encode more than the client did.
func decodedOnce(t *testing.T, target string) string {
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Path + "?" + parsed.RawQuery
}
