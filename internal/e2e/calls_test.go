package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// calls is a site whose page polls by JSON-RPC. Each call has an id of its own, and so has its
// answer.
func calls(options string) string {
	return withHook("parker {\nlook_again off\nmethods POST\nnothing_new {\nunchanged except /id /result/clock\nremember\njson /result\n}\n" + options + "\n}\nreverse_proxy {$BACKEND}")
}

func call(t *testing.T, caddy *caddytest.Caddy, id int, header ...string) <-chan caddytest.Answer {
	answered := make(chan caddytest.Answer, 1)
	go func() {
		header = append(header, "Content-Type: application/json", "User-Agent: Browser", "Sec-Fetch-Site: same-origin")
		answered <- caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/rpc", fmt.Sprintf(`{"method":"poll","id":%d}`, id), header...)
	}()
	return answered
}

func TestShareGivesEachCallItsOwnID(t *testing.T) {
	t.Parallel()
	const clients = 50
	caddy, backend := startScripted(t, calls("share public"))
	var parked []<-chan caddytest.Answer
	for id := range clients {
		parked = append(parked, call(t, caddy, id))
	}
	first := backend.Next(t)
	awaitJoined(t, caddy, clients-1)
	answer := func(ask *caddytest.Ask, result string) {
		var id int
		if _, err := fmt.Sscanf(ask.Body, `{"method":"poll","id":%d}`, &id); err != nil {
			t.Fatalf("the backend was asked for %s", ask.Body)
		}
		ask.Answer(200, fmt.Sprintf(`{"id": %d, "result": %s}`, id, result), "Content-Type: application/json")
	}
	answer(first, "[]")
	caddy.AwaitWaiting(t, "rpc", clients)
	release(t, caddy, "rpc", clients)
	answer(backend.Next(t), "[1]")
	for id, poll := range parked {
		expect(t, fmt.Sprintf(`{"id": %d, "result": [1]}`, id), "replay", poll)
	}
	backend.Unasked(t)
}

func TestShareLeavesAloneCallsWhoseAnswersDoNotRepeatTheID(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, calls("share public"))
	first := call(t, caddy, 1)
	ask := backend.Next(t)
	second := call(t, caddy, 2)
	awaitJoined(t, caddy, 1)
	ask.Answer(200, `{"id":0,"result":[1]}`)
	expect(t, `{"id":0,"result":[1]}`, "none", first)
	backend.Next(t).Answer(200, `{"id":0,"result":[2]}`)
	expect(t, `{"id":0,"result":[2]}`, "none", second)
}

func TestTimerServesCallsByOneAnswer(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		cookie string // that the answers set
		reused bool
	}{
		"no cookie":               {"X-Legacy: yes", true},
		"a cookie that is there":  {"Set-Cookie: id=1; Max-Age=3600", true},
		"a cookie of the session": {"Set-Cookie: id=1", true},
		"another value":           {"Set-Cookie: id=2; Max-Age=3600", false},
		"another cookie":          {"Set-Cookie: token=1; Max-Age=3600", false},
		"a cookie that ends soon": {"Set-Cookie: id=1; Max-Age=60", false},
		"a cookie that is taken":  {"Set-Cookie: id=1; Max-Age=0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caddy, backend := startScripted(t, calls("timer"))
			answer := func(id int, result string) {
				backend.Next(t).Answer(200, fmt.Sprintf(`{"id":%d,"result":%s}`, id, result), "Content-Type: application/json", x.cookie)
			}
			poll := func(id int) <-chan caddytest.Answer { return call(t, caddy, id, "Cookie: id=1") }
			older := poll(1)
			answer(1, "[]")
			caddy.AwaitWaiting(t, "rpc", 1)
			for id := 2; id < 5; id++ {
				newer := poll(id)
				if !x.reused {
					answer(id, "[]")
				}
				expect(t, fmt.Sprintf(`{"id":%d,"result":[]}`, id-1), "timeout", older)
				caddy.AwaitWaiting(t, "rpc", 1)
				older = newer
			}
			backend.Unasked(t)
			release(t, caddy, "rpc", 1)
			answer(4, "[1]")
			expect(t, `{"id":4,"result":[1]}`, "replay", older)
		})
	}
}

func TestIgnoreQueryAsksAtOnceForEachJSONPClient(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(jsonpRules))
	poll := func(callback string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed?callback="+callback)
	}
	answer := func(ask *caddytest.Ask) {
		ask.Answer(200, "/**/"+ask.Request.FormValue("callback")+"([1])", "Content-Type: text/javascript")
	}
	a := poll("a1")
	ask := backend.Next(t)
	b := poll("b1")
	awaitJoined(t, caddy, 1)
	answer(ask)
	expect(t, "/**/a1([1])", "none", a)
	answer(backend.Next(t))
	expect(t, "/**/b1([1])", "none", b)

	a, b = poll("a2"), poll("b2")
	first, second := backend.Next(t), backend.Next(t) // neither waits for the other
	answer(first)
	answer(second)
	expect(t, "/**/a2([1])", "none", a)
	expect(t, "/**/b2([1])", "none", b)
}

func TestShareAsksAtOnceForCallsWhoseAnswersAreTheirOwn(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, calls("share public"))
	answer := func(ask *caddytest.Ask) { ask.Answer(200, `{"result":[1]}`, `ETag: "x"`) }
	first := call(t, caddy, 1)
	ask := backend.Next(t)
	second := call(t, caddy, 2)
	awaitJoined(t, caddy, 1)
	answer(ask)
	answer(backend.Next(t))
	expect(t, `{"result":[1]}`, "none", first, second)
	first, second = call(t, caddy, 3), call(t, caddy, 4)
	asks := []*caddytest.Ask{backend.Next(t), backend.Next(t)} // neither waits for the other
	answer(asks[0])
	answer(asks[1])
	expect(t, `{"result":[1]}`, "none", first, second)
}

// A client chooses parameters with which an answer looks like JSONP.
func TestIgnoreQueryLetsNoClientDecideHowOthersAsk(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, withHook("parker {\nshare public\nignore_query _\n}\nreverse_proxy {$BACKEND}", "servers {\ntrusted_proxies static 127.0.0.1/32\n}"), backend.Address)
	poll := func(value, address string) <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed?_="+value, "X-Forwarded-For: "+address)
	}
	const script = "draw([1])"
	hostile := poll("draw", "192.0.2.1")
	ask := backend.Next(t)
	other := poll("w", "192.0.2.1")
	awaitJoined(t, caddy, 1)
	ask.Answer(200, script)
	backend.Next(t).Answer(200, script)
	expect(t, script, "none", hostile, other)

	first := poll("1700000000", "192.0.2.3")
	ask = backend.Next(t)
	second := poll("1700000001", "192.0.2.4")
	awaitJoined(t, caddy, 1)
	ask.Answer(200, script)
	expect(t, script, "none", first, second)
}
