package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestSharePublicWarnsOnceOfPrivateAnswers(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking("share public"))
	for i, cacheControl := range []string{"max-age=5", "max-age=0, No-Store", `private="set-cookie"`} {
		one := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Api-Key: a")
		ask := backend.Next(t)
		other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Api-Key: b")
		awaitJoined(t, caddy, 1)
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
	caddy := caddytest.Start(t, withHook("parker /a {\nwatch 5s\n}\nparker /b {\nreuse 5s\n}\nparker /c {\nwatch 5s\nshare public\n}\nparker /d {\nreuse 5s\nshare {cookie.user}\n}\nparker /e"), "")
	expectLogged(t, caddy, "add 'share public'", 2)
	for _, option := range []string{"watch", "reuse"} {
		expectLogged(t, caddy, fmt.Sprintf(`"option":%q`, option), 1)
	}
}

// Handlers in front mark each request differently, without an effect on the answer.
func TestShareIgnoresMarksOfHandlersInFront(t *testing.T) {
	t.Parallel()
	auth := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Remote-User", "ada") })
	front := "forward_auth {$AUTH} {\nuri /check\ncopy_headers Remote-User\n}\nbasic_auth {\nada {$SECRET}\n}\n" +
		"request_header X-Request-Id {uuid}\nrequest_header Traceparent {uuid}\nlog_append id {uuid}\n" +
		"vars {\nteam {header.X-Team}\nsize 3\n}\nmap {remote_host} {near} {\n127.0.0.1 yes\ndefault no\n}\n"
	caddy, backend := startScripted(t, strings.Replace(parking(""), "parker_notify", front+"parker_notify", 1), "AUTH="+auth, "SECRET="+secret)
	poll := func() <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "Authorization: Basic YWRhOnNlY3JldA==", "X-Team: red", "Connection: close")
	}
	polls := []<-chan caddytest.Answer{poll()}
	ask := backend.Next(t)
	polls = append(polls, poll())
	awaitJoined(t, caddy, 1)
	ask.Answer(200, "[1]")
	expect(t, "[1]", "", polls...)
	backend.Unasked(t)
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
			caddy, backend := startScripted(t, withHook(site), "AUTH="+auth)
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
				expect(t, user, "", answered)
			}
		})
	}
}

// One handler is in front of several routes, and the field that the routes match was
// removed.
func TestShareKeepsPollsApartByRouteBehindNamedRoute(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, `
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
`)
	polls := map[string]<-chan caddytest.Answer{
		"admin": caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed", "X-Secret: s3"),
		"all":   caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed"),
	}
	for _, ask := range []*caddytest.Ask{backend.Next(t), backend.Next(t)} {
		ask.Answer(200, ask.Request.Header.Get("X-For"))
	}
	for whom, answered := range polls {
		expect(t, whom, "", answered)
	}
}
