package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// magnet is a torrent that nobody has.
const magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"

func TestRecipeForJSONRPCHoldsPollsOfAria2(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "json-rpc")
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	root, publish := t.TempDir(), filepath.Join(t.TempDir(), "publish")
	write(t, filepath.Join(root, "index.html"), "<script src=aria-ng.js></script>")
	aria2 := count(t, startAria2(t, "--on-download-pause="+publish))
	caddy := caddytest.Start(t, recipe.caddyfileAt(2, "/srv/ariang", root, "127.0.0.1:6800", "{$BACKEND}"), aria2.address)
	writeProgram(t, publish, recipe.block("sh", 0, "127.0.0.1:9080", caddy.Hook))

	page := openPage(t, caddy.Site, "/")
	n := 0
	call := func(method, params string) <-chan caddytest.Answer { // as AriaNg does
		n++
		body := fmt.Sprintf(`{"jsonrpc":"2.0","method":"aria2.%s","id":"QXJpYU5n%d","params":["token:secret"%s]}`, method, n, params)
		return page.fetch(http.MethodPost, "/jsonrpc", body, "Content-Type: application/json", "Accept: application/json, text/plain, */*")
	}
	poll := func() <-chan caddytest.Answer {
		return call("tellActive", `,["gid","totalLength","completedLength","uploadSpeed","downloadSpeed","connections","numSeeders","seeder","status","errorCode","verifiedLength","verifyIntegrityPending"]`)
	}
	isNews(t, <-poll(), `{"id":"QXJpYU5n1","jsonrpc":"2.0","result":[]}`)
	waiting := awaitHeld(t, poll)
	stalled := caddytest.Serve(t, func(http.ResponseWriter, *http.Request) { <-t.Context().Done() })
	added := <-call("addUri", `,["http://`+stalled+`/"]`)
	isReleased(t, answerIn(t, waiting), `"status":"active"`)
	_, gid, _ := strings.Cut(added.Body, `"result":"`)
	gid, _, _ = strings.Cut(gid, `"`)
	isPassed(t, added, `"result":"`+gid+`"`)

	pollByTimer(200*time.Millisecond, poll) // for a moment after the change, polls pass
	before, last := aria2.with("tellActive"), n
	polls := pollByTimer(200*time.Millisecond, poll)
	fewReach(t, "aria2", aria2.with("tellActive")-before)
	for i, poll := range polls[:19] {
		if given := answerIn(t, poll); !strings.Contains(given.Body, `"status":"active"`) || !strings.Contains(given.Body, fmt.Sprintf(`"id":"QXJpYU5n%d"`, last+1+i)) {
			t.Errorf("poll %d was answered %+v", i, given)
		}
	}
	waiting = awaitHeld(t, poll)
	// A write past the proxy is published by the program that aria2 runs.
	caddytest.Do(t.Context(), http.MethodPost, "http://"+aria2.address+"/jsonrpc", `{"jsonrpc":"2.0","method":"aria2.forcePause","id":"","params":["token:secret","`+gid+`"]}`)
	isReleased(t, answerIn(t, waiting), `"result":[]`)
}

func TestRecipeForJSONRPCHoldsPollsOfTransmission(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "json-rpc")
	transmission := count(t, startTransmission(t))
	caddy := caddytest.Start(t, recipe.caddyfile("127.0.0.1:9091", "{$BACKEND}"), transmission.address)
	page := openPage(t, caddy.Site, "/transmission/web/")
	session := ""
	call := func(body string) <-chan caddytest.Answer { // as Transmission's page does
		return page.fetch(http.MethodPost, "/transmission/rpc", body, "Content-Type: json", "Accept: application/json, text/javascript, */*; q=0.01",
			"X-Requested-With: XMLHttpRequest", "X-Transmission-Session-Id: "+session)
	}
	poll := func() <-chan caddytest.Answer {
		return call(`{"method":"torrent-get","arguments":{"fields":["id","name","status","percentDone"],"ids":"recently-active"}}`)
	}
	refused := <-poll()
	session = refused.Header.Get("X-Transmission-Session-Id")
	if refused.Status != http.StatusConflict || session == "" {
		t.Fatalf("a call without a session was answered %+v", refused)
	}

	isNews(t, <-poll(), `"torrents":[]`)
	waiting := awaitHeld(t, poll)
	isPassed(t, <-call(`{"method":"session-get"}`), `"result":"success"`)
	caddy.AwaitWaiting(t, "torrents", 1)
	isPassed(t, <-call(`{"method":"torrent-add","arguments":{"paused":true,"filename":"`+magnet+`"}}`), `"torrent-added"`)
	isReleased(t, answerIn(t, waiting), `"id":1`)

	pollByTimer(200*time.Millisecond, poll) // for a moment after the change, polls pass
	before := transmission.with("recently-active")
	polls := pollByTimer(200*time.Millisecond, poll)
	fewReach(t, "Transmission", transmission.with("recently-active")-before)
	for _, poll := range polls[:19] {
		if given := answerIn(t, poll); !strings.Contains(given.Body, `"id":1`) {
			t.Errorf("a poll that a newer one has replaced was answered %+v", given)
		}
	}
	waiting = awaitHeld(t, poll)
	<-call(`{"method":"torrent-remove","arguments":{"ids":[1]}}`)
	isReleased(t, answerIn(t, waiting), `"removed":[1]`)
}

func TestRecipeForJSONRPCHoldsPollsOfDeluge(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "json-rpc")
	address, host := startDeluge(t)
	deluge := count(t, address)
	caddy := caddytest.Start(t, recipe.caddyfileAt(1, "127.0.0.1:8112", "{$BACKEND}"), deluge.address)
	page := openPage(t, caddy.Site, "/")
	n := 0
	call := func(method, params string) <-chan caddytest.Answer { // as Deluge's page does
		n++
		return page.fetch(http.MethodPost, "/json", fmt.Sprintf(`{"method":%q,"params":%s,"id":%d}`, method, params, n),
			"Content-Type: application/json", "Accept: */*", "X-Requested-With: XMLHttpRequest")
	}
	poll := func() <-chan caddytest.Answer {
		return call("web.update_ui", `[["queue","name","total_wanted","state","progress"],{}]`)
	}
	<-call("auth.login", `["deluge"]`)
	caddytest.Await(t, "Deluge's page is connected", func() bool {
		<-call("web.connect", `["`+host+`"]`)
		return strings.Contains((<-call("web.connected", `[]`)).Body, "true")
	})
	isNews(t, <-poll(), fmt.Sprintf(`"id": %d}`, n))
	waiting := awaitHeld(t, poll)
	isPassed(t, <-call("core.add_torrent_magnet", `["`+magnet+`",{"add_paused":true}]`), `"result": "0123456789`)
	isReleased(t, answerIn(t, waiting), `"state": "Paused"`)

	pollByTimer(200*time.Millisecond, poll) // for a moment after the change, polls pass
	before, last := deluge.with("update_ui"), n
	polls := pollByTimer(200*time.Millisecond, poll)
	fewReach(t, "Deluge", deluge.with("update_ui")-before)
	for i, poll := range polls[:19] {
		if given := answerIn(t, poll); !strings.Contains(given.Body, `"state": "Paused"`) || !strings.Contains(given.Body, fmt.Sprintf(`"id": %d}`, last+1+i)) {
			t.Errorf("poll %d was answered %+v", i, given)
		}
	}
	waiting = awaitHeld(t, poll)
	<-call("core.remove_torrent", `["0123456789abcdef0123456789abcdef01234567",false]`)
	isReleased(t, answerIn(t, waiting), `"torrents": {}`)
}
