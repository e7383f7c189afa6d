package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestSharePublicWarnsOnceOfPrivateAnswers(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, parking("share public"), backend.Address)
	for i, cacheControl := range []string{"max-age=5", "max-age=0, No-Store", `private="set-cookie"`} {
		one := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Api-Key: a")
		ask := backend.Next(t)
		other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Api-Key: b")
		caddy.AwaitInside(t, joined, 1)
		ask.Answer(200, "[1]", "Cache-Control: "+cacheControl)
		for _, answered := range []<-chan caddytest.Answer{one, other} {
			if g := <-answered; g.Body != "[1]" || g.Header.Get("Cache-Control") != cacheControl {
				t.Errorf("%s: a poll was answered %+v", cacheControl, g)
			}
		}
		expectLogged(t, caddy, "an answer that the backend marks private or no-store was shared", min(i, 1))
	}
}

func TestShareIsHintedAtByWatchAndReuse(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		"watch 5s":                      `"option":"watch"`,
		"reuse 5s":                      `"option":"reuse"`,
		"watch 5s\nshare public":        "",
		"reuse 5s\nshare {cookie.user}": "",
		"timeout 5s":                    "",
	} {
		caddy := caddytest.Start(t, parking(options), "127.0.0.1:1")
		log := caddy.Stderr.String()
		if hinted := strings.Contains(log, "add 'share public'"); hinted != (want != "") || !strings.Contains(log, want) {
			t.Errorf("%q: the log has the hint: %t, want %s", options, hinted, want)
		}
	}
}

// Handlers in front mark each request differently, without an effect on the answer.
func TestShareIgnoresMarksOfHandlersInFront(t *testing.T) {
	t.Parallel()
	auth := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Remote-User", "ada") })
	for name, front := range map[string]string{
		"forward_auth": "forward_auth {$AUTH} {\nuri /check\ncopy_headers Remote-User\n}",
		"basic_auth":   "basic_auth {\nada {$SECRET}\n}",
		"request IDs":  "request_header X-Request-Id {uuid}\nrequest_header Traceparent {uuid}\nlog_append id {uuid}",
		"variables":    "vars {\nteam {header.X-Team}\nsize 3\n}\nmap {remote_host} {near} {\n127.0.0.1 yes\ndefault no\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			site := strings.Replace(parking(""), "parker_notify", front+"\nparker_notify", 1)
			caddy := caddytest.Start(t, site, backend.Address, "AUTH="+auth, "SECRET="+secret)
			poll := func() <-chan caddytest.Answer {
				return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Authorization: Basic YWRhOnNlY3JldA==", "X-Team: red", "Connection: close")
			}
			polls := []<-chan caddytest.Answer{poll()}
			ask := backend.Next(t)
			polls = append(polls, poll())
			caddy.AwaitInside(t, joined, 1)
			ask.Answer(200, "[1]")
			for _, answered := range polls {
				if g := <-answered; g.Body != "[1]" {
					t.Errorf("a poll was answered %+v", g)
				}
			}
			backend.Unasked(t)
		})
	}
}

// The part of the request that distinguishes users may have been removed, except for a
// placeholder.
func TestShareKeepsPollsApartByPlaceholder(t *testing.T) {
	t.Parallel()
	auth := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-User", r.Header.Get("Cookie")) })
	for name, site := range map[string]string{
		"forward_auth": "forward_auth {$AUTH} {\nuri /check\n}\nrequest_header -Cookie\nparker\nreverse_proxy {$BACKEND} {\nheader_up X-Told {http.reverse_proxy.header.X-User}\n}",
		"a capture":    "@user header_regexp user Cookie (.*)\nrequest_header @user -Cookie\nparker\nreverse_proxy {$BACKEND} {\nheader_up X-Told {re.user.1}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			caddy := caddytest.Start(t, "http://{$SITE} {\n"+site+"\n}\nhttp://{$HOOK} {\nparker_publish\n}\n", backend.Address, "AUTH="+auth)
			polls := make(map[string]<-chan caddytest.Answer)
			answer := func(body string) {
				asks := []*caddytest.Ask{backend.Next(t), backend.Next(t)}
				for _, ask := range asks {
					told := ask.Request.Header.Get("X-Told")
					ask.Answer(200, strings.ReplaceAll(body, "told", told), "X-User: nobody")
				}
			}
			for _, user := range []string{"ann", "bob"} {
				polls[user] = caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Cookie: "+user)
			}
			answer("[]")
			caddy.AwaitWaiting(t, "feed", 2)
			release(t, caddy, "feed", 2)
			answer("told")
			for user, answered := range polls {
				if g := <-answered; g.Body != user {
					t.Errorf("%s was answered %q", user, g.Body)
				}
			}
		})
	}
}

// One handler is in front of several routes, and the field that the routes match was
// removed.
func TestShareKeepsPollsApartByRouteBehindNamedRoute(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, `
&(poll) {
	route {
		parker
	}
}
http://{$SITE} {
	@admin header X-Secret s3
	route {
		handle @admin {
			request_header -X-Secret
			invoke poll
			reverse_proxy {$BACKEND} {
				header_up X-For admin
			}
		}
		handle {
			invoke poll
			reverse_proxy {$BACKEND} {
				header_up X-For all
			}
		}
	}
}
`, backend.Address)
	polls := map[string]<-chan caddytest.Answer{
		"admin": caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Secret: s3"),
		"all":   caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed"),
	}
	for _, ask := range []*caddytest.Ask{backend.Next(t), backend.Next(t)} {
		ask.Answer(200, ask.Request.Header.Get("X-For"))
	}
	for whom, answered := range polls {
		if g := <-answered; g.Body != whom {
			t.Errorf("%s was answered %q", whom, g.Body)
		}
	}
}
