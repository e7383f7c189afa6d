package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// announceSite has a route for each way in which a backend's answer can name channels,
// and one that waits on any channel.
const announceSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	handle /watch {
		parker {query.channel}
		reverse_proxy {$BACKEND}
	}
	handle /held/* {
		parker held
		reverse_proxy {$BACKEND}
	}
	handle /notified/* {
		parker_notify written
		reverse_proxy {$BACKEND}
	}
	handle /both/* {
		parker_notify written
		parker held
		reverse_proxy {$BACKEND}
	}
}
http://{$HOOK} {
	parker_publish
}
`

// announcement is a backend answer that names channels to publish on.
type announcement struct {
	name  string
	serve http.HandlerFunc
	want  []string // the channels published on, once each
}

func announcements() []announcement {
	header := func(status int, body string, lines ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Parker-Publish"] = lines
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	return []announcement{
		{"one channel", header(200, "x", "a"), []string{"a"}},
		{"quoted names", header(200, "x", `"a, b", "c \"d\"" , e f`), []string{"a, b", `c "d"`, "e f"}},
		{"one that is no channel", header(200, "x", "a, "+strings.Repeat("long", 100)+`, "", b`), []string{"a", "b"}},
		{"nothing", header(200, "x", ""), nil},
		{"error", header(500, "sorry", "a"), []string{"a"}},
		{"in chunks", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Parker-Publish", "a")
			chunks(w, "one", "two")
		}, []string{"a"}},
		{"early hints", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Parker-Publish", "a")
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "x")
		}, []string{"a"}},
		{"nothing new", header(200, "[]", "a"), []string{"a"}},
	}
}

func TestNotifyPublishesAndStripsBackendHeader(t *testing.T) {
	t.Parallel()
	for _, route := range []struct {
		method, path string
		also         []string // also published where the answer is to a write
	}{
		{http.MethodPost, "/held/", nil},
		{http.MethodGet, "/notified/", nil},
		{http.MethodPost, "/notified/", []string{"written"}},
		{http.MethodPost, "/both/", []string{"written"}},
	} {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			pages := caddytest.NewPages(t)
			all := announcements()
			caddy := caddytest.StartSecure(t, announceSite, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/watch" {
					pages.ServeHTTP(w, r)
					return
				}
				i, _ := strconv.Atoi(r.URL.Query().Get("case"))
				all[i].serve(w, r)
			}))
			for i, a := range all {
				want := a.want
				if a.name != "error" {
					want = append(want, route.also...)
				}
				x := trial{method: route.method, prefersNoWait: true}
				published := watch(t, caddy, pages, want, func() {
					client := caddy.Client(t, caddytest.Protocols[i%len(caddytest.Protocols)])
					if answer := x.make(t.Context(), t, client, route.path+"?case="+fmt.Sprint(i)); strings.Contains(answer, "Parker-Publish") {
						t.Errorf("%s: the client was answered %s", a.name, answer)
					}
				})
				if published != len(want) {
					t.Errorf("%s: there were %d events, want one on each of %q", a.name, published, want)
				}
			}
		})
	}
}

// watch calls begin, waits until each of the channels has been published on, and
// returns the number of events on all channels.
func watch(t *testing.T, caddy *caddytest.Secure, pages *caddytest.Pages, channels []string, begin func()) int {
	t.Helper()
	pages.Put("/watch", caddytest.Page{Body: "[]"})
	var parked []<-chan caddytest.Answer
	for _, channel := range channels {
		parked = append(parked, caddytest.Get(t.Context(), "http://"+caddy.Site+"/watch?channel="+url.QueryEscape(channel)))
		caddy.AwaitWaiting(t, url.PathEscape(channel), 1)
	}
	before := offset(t, caddy)
	pages.Put("/watch", caddytest.Page{Body: "[1]"})
	begin()
	expect(t, "[1]", "replay", parked...)
	return offset(t, caddy) - before
}

// offset returns the number of events so far.
func offset(t *testing.T, caddy *caddytest.Secure) int {
	t.Helper()
	listed := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/", "")
	_, position, _ := strings.Cut(listed.Body, `"position":"`)
	position, _, _ = strings.Cut(position, `"`)
	n, err := strconv.Atoi(position[strings.LastIndexByte(position, '-')+1:])
	if err != nil {
		t.Fatalf("the hook answered %+v", listed)
	}
	return n
}

// A nothing-new answer whose header names several channels wakes the polls on the other
// channels. It must not wake the poll that it answers, which would repeat without end.
func TestNotifyHoldsPollThatPublishesOnOwnChannel(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	caddy := caddytest.StartSecure(t, announceSite, pages.Address)
	pages.Put("/held/x", caddytest.Page{Header: http.Header{"Parker-Publish": {"held, other"}}, Body: "[]"})
	var held <-chan caddytest.Answer
	if n := watch(t, caddy, pages, []string{"other"}, func() {
		held = caddytest.Get(t.Context(), "http://"+caddy.Site+"/held/x")
	}); n != 1 {
		t.Errorf("there were %d events", n)
	}
	caddy.AwaitWaiting(t, "held", 1)
	if n := pages.Asks("/held/x"); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	caddy.Publish(t, "held", "", "hello")
	if g := <-held; g.Body != "hello" || g.Header.Get("Parker-Publish") != "" {
		t.Errorf("the poll was answered %+v", g)
	}
}
