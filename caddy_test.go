package parker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) {
	caddytest.AlsoShort = true
	caddytest.Main(m)
}

// site is the smallest configuration, with a hook.
const site = `
http://{$SITE} {
	parker_notify /messages
	parker /messages
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

func TestParkerReleasesPollsOnWriteThroughProxy(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	url := "http://" + caddy.Site + "/messages?since="

	parked := caddytest.Get(t.Context(), url+"0")
	caddy.AwaitWaiting(t, "messages", 1)
	if post := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/messages", "hello"); post.Status != http.StatusSeeOther {
		t.Fatalf("the write was answered %+v", post)
	}
	if g := <-parked; g.Status != 200 || g.Body != `["hello"]` || g.Release() != "replay" || g.Header.Get("X-Legacy") != "yes" {
		t.Errorf("the poll was answered %+v", g)
	}
	if n := backend.Asks.Load(); n != 2 {
		t.Errorf("the backend was asked %d times, want once before and once after the write", n)
	}
	if g := caddytest.Do(t.Context(), http.MethodGet, url+"0", ""); g.Body != `["hello"]` || g.Release() != "none" {
		t.Errorf("the poll with news was answered %+v", g)
	}
}

func TestParkerAnswersPollWithPublishedMessage(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	published := caddy.Publish(t, "messages", "", `{"text":"hello"}`)
	if !strings.Contains(published, `"released":1`) {
		t.Errorf("the hook answered %s", published)
	}
	g := <-parked
	if g.Status != 200 || g.Body != `{"text":"hello"}` || g.Release() != "message" {
		t.Errorf("the poll was answered %+v", g)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Legacy": "",
	} {
		if value := g.Header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if id := g.Header.Get("Last-Event-ID"); id == "" || !strings.Contains(published, `"position":"`+id+`"`) {
		t.Errorf("Last-Event-ID is %q, and the hook answered %s", id, published)
	}
}

func TestParkerAnswersTimeoutWithBackendsAnswer(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	g := <-caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0", "Prefer: wait=1")
	if g.Status != 200 || g.Body != "[]" || g.Release() != "timeout" || g.Header.Get("X-Legacy") != "yes" || g.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("the poll was answered %+v", g)
	}
	if !strings.HasPrefix(g.Header.Get("Parker-Status"), "parker; park=1.") && !strings.HasPrefix(g.Header.Get("Parker-Status"), "parker; park=0.9") {
		t.Errorf("Parker-Status is %q", g.Header.Get("Parker-Status"))
	}
	if n := backend.Asks.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	if g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/messages?since=0", "", "Prefer: wait=0"); g.Body != "[]" || g.Release() != "none" {
		t.Errorf("a plain poll was answered %+v", g)
	}
}

func TestNotifyPublishesHeaderOfNewsReadWhole(t *testing.T) {
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "user=writer" {
			w.Header().Set("Parker-Publish", "messages")
			fmt.Fprint(w, `{"messages":[1]}`)
		} else {
			fmt.Fprint(w, `{"messages":[]}`)
		}
	})
	caddy := caddytest.Start(t, strings.Replace(site, "parker /messages", "parker /messages {\n nothing_new {\n json /messages \n} \n}", 1), backend)
	url := "http://" + caddy.Site + "/messages"
	before := position(t, caddy.Publish(t, "messages", "", ""))
	caddytest.Do(t.Context(), http.MethodGet, url, "", "Cookie: user=writer")
	epoch, _, _ := strings.Cut(before, "-")
	if after := position(t, caddy.Publish(t, "messages", "", "")); after != epoch+"-3" {
		t.Errorf("the position went from %s to %s, so the news was not published", before, after)
	}
	if g := <-caddytest.Get(t.Context(), url, "Prefer: wait=1"); g.Release() != "timeout" {
		t.Errorf("a poll without news was answered %+v", g)
	}
}

func TestParkerStatusIsNoneWithoutChannel(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, strings.Replace(site, "parker /messages", "parker /messages {query.room}", 1), backend.Address)
	g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/messages", "")
	if g.Body != "[]" || g.Release() != "none" {
		t.Errorf("a poll without a channel was answered %+v", g)
	}
}

func TestStopAnswersParkedPollsPromptly(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Stop(t)
	if g := <-parked; g.Body != "[]" || g.Release() != "stop" {
		t.Errorf("the poll was answered %+v", g)
	}
}

func TestParkerForgetsClientThatDisconnects(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	ctx, leave := context.WithCancel(t.Context())
	left := caddytest.Get(ctx, "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	leave()
	<-left
	caddy.AwaitWaiting(t, "messages", 0)
	if n := backend.Asks.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestReloadKeepsPollsParked(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Reload(t, strings.Replace(site, "parker /messages", "parker /messages {\n timeout 30s \n}", 1))
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "text/plain", "hello")
	if g := <-parked; g.Body != "hello" {
		t.Errorf("the poll was answered %+v", g)
	}
}

func TestReloadWithoutParkerReleasesPolls(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Reload(t, "http://{$SITE} {\n reverse_proxy {$BACKEND} \n}")
	if g := <-parked; g.Body != "[]" || g.Release() != "stop" {
		t.Errorf("the poll was answered %+v", g)
	}
}

func TestReloadKeepsPositions(t *testing.T) {
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, site, backend.Address)
	before := position(t, caddy.Publish(t, "messages", "", ""))
	caddy.Reload(t, site+"\n# changed\n:0 {\n respond ok \n}")
	after := position(t, caddy.Publish(t, "messages", "", ""))
	if epoch, offset, _ := strings.Cut(before, "-"); offset != "1" || after != epoch+"-2" {
		t.Errorf("the position went from %s to %s", before, after)
	}
}

// position returns the position in an answer of the hook.
func position(t *testing.T, answer string) string {
	t.Helper()
	var a struct{ Position string }
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return a.Position
}

func TestParkerStreamsNewsUnbuffered(t *testing.T) {
	proceed := make(chan struct{})
	address := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-proceed
		fmt.Fprintln(w, "second")
	})
	caddy := caddytest.Start(t, site, address)
	answer, err := http.Get("http://" + caddy.Site + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Scan()
	close(proceed)
	if lines.Text() != "first" || !lines.Scan() || lines.Text() != "second" {
		t.Errorf("read %q, %v", lines.Text(), lines.Err())
	}
}
