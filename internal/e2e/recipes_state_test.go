package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestRecipeForWholeStateHoldsPollsOfSessions(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "whole-state")
	caddytest.Need(t, "PHP is missing: install php-cli.", "php")
	root := t.TempDir()
	queue := filepath.Join(root, "queue.json")
	write(t, queue, "[7]")
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "queue.php"), recipe.block("php", 0, "/srv/data/queue.json", queue))
	write(t, filepath.Join(root, "take.php"), fmt.Sprintf("<?php file_put_contents('%s', '[8]');", queue))
	write(t, filepath.Join(root, "index.php"), "<?php session_save_path(sys_get_temp_dir()); session_start();")
	caddy := caddytest.Start(t, recipe.caddyfile("/srv/www", "{$ROOT}", "/run/php/php-fpm.sock", "{$SOCKET}"),
		"", "ROOT="+root, "SOCKET="+startFPM(t, root))

	other, page := openPage(t, caddy.Site, "/index.php"), openPage(t, caddy.Site, "/index.php")
	polling := func(from *webPage) func() <-chan caddytest.Answer {
		return func() <-chan caddytest.Answer { return from.fetch(http.MethodGet, "/queue.php", "") }
	}
	poll := polling(page)
	first := <-poll()
	isNews(t, first, `"waiting":[7]`)
	if !strings.Contains(first.Header.Get("Cache-Control"), "no-store") {
		t.Fatalf("PHP's session page was answered with %v", first.Header)
	}
	waiting := awaitHeld(t, poll)
	isNews(t, <-polling(other)(), `"waiting":[7]`)

	page.do(http.MethodPost, "/take.php", "")
	isReleased(t, answerIn(t, waiting), `"waiting":[8]`)

	waiting = awaitHeld(t, poll)
	page.load()
	if given := answerIn(t, waiting); given.Release() != "timeout" || !strings.Contains(given.Body, "[8]") {
		t.Errorf("when the page was loaded again, its poll was answered %+v", given)
	}
	if given := answerIn(t, poll()); !strings.Contains(given.Body, `"waiting":[8]`) {
		t.Errorf("the page that was loaded again got %+v", given)
	}
}

func TestRecipeForWholeStateHoldsPollsOfIcecast(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "whole-state")
	address := startIcecast(t)
	icecast := count(t, address)
	root := t.TempDir()
	write(t, filepath.Join(root, "index.html"), "<script src=player.js></script>")
	caddy := caddytest.Start(t, recipe.caddyfileAt(1, "/srv/www", root, "127.0.0.1:8000", "{$BACKEND}"), icecast.address)
	playTo(t, address, "/one.mp3")
	title := func(mount, text string) {
		t.Helper()
		set := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/admin/metadata?mode=updinfo&mount="+mount+"&song="+text, "", "Authorization: Basic YWRtaW46c2VjcmV0")
		if set.Status != http.StatusOK {
			t.Fatalf("setting the title was answered %+v", set)
		}
	}
	page := openPage(t, caddy.Site, "/")
	poll := func() <-chan caddytest.Answer { return page.fetch(http.MethodGet, "/status-json.xsl", "") }

	isNews(t, <-poll(), "/one.mp3")
	waiting := awaitHeld(t, poll)
	title("/one.mp3", "Fugue")
	isReleased(t, answerIn(t, waiting), `"title":"Fugue"`)

	pollByTimer(200*time.Millisecond, poll) // for a moment after the change, polls pass
	before := icecast.with("/status-json.xsl")
	polls := pollByTimer(200*time.Millisecond, poll)
	fewReach(t, "Icecast", icecast.with("/status-json.xsl")-before)
	for _, poll := range polls {
		if given := answerIn(t, poll); !strings.Contains(given.Body, `"title":"Fugue"`) {
			t.Errorf("a poll was answered %+v", given)
		}
	}
	playTo(t, address, "/two.mp3") // nothing is published: `watch` finds it
	caddytest.Await(t, "the page shows the second station", func() bool { return strings.Contains((<-poll()).Body, "/two.mp3") })
}
