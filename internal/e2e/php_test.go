package e2e

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestPHPBuiltInServerWithOneWorkerServesManyPolls(t *testing.T) {
	t.Parallel()
	root := guestBook(t)
	php := caddytest.Need(t, "PHP is missing: install php-cli.", "php")
	log := runServer(t, php, "-S", "127.0.0.1:0", "-t", root)
	var address string
	caddytest.Await(t, "PHP says where it listens", func() bool {
		_, after, _ := strings.Cut(log.String(), "(http://")
		var started bool
		address, _, started = strings.Cut(after, ") started")
		return started
	})
	caddy := caddytest.Start(t, withHook(`
	parker_notify /messages
	parker /messages {
		look_again off
	}
	reverse_proxy {$BACKEND}
`), address)
	pollGuestBook(t, caddy)
}

func TestPHPFPMWithOneWorkerServesManyPolls(t *testing.T) {
	t.Parallel()
	root := guestBook(t)
	socket := startFPM(t, root)
	caddy := caddytest.Start(t, withHook(`
	root {$ROOT}
	parker_notify /messages
	parker /messages {
		look_again off
	}
	php_fastcgi unix/{$SOCKET}
`), "", "ROOT="+root, "SOCKET="+socket)
	pollGuestBook(t, caddy)
}

// guestBook installs the page, and returns the root of its site.
func guestBook(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"public", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("testdata/php/index.php")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "public", "index.php"), string(page))
	return filepath.Join(dir, "public")
}

// runServer runs a server until the test ends and returns its log.
func runServer(t *testing.T, program string, args ...string) *caddytest.Log {
	t.Helper()
	log := new(caddytest.Log)
	server := exec.Command(program, args...)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
		if t.Failed() {
			t.Logf("%s logged:\n%s", program, log)
		}
	})
	return log
}

// pollGuestBook parks one poll and then many, and checks that all are released.
func pollGuestBook(t *testing.T, caddy *caddytest.Caddy) {
	site := "http://" + caddy.Site
	sign := func(text string) {
		t.Helper()
		signed := caddytest.Do(t.Context(), http.MethodPost, site+"/messages", url.Values{"text": {text}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if signed.Status != http.StatusSeeOther {
			t.Fatalf("the write was answered %+v", signed)
		}
	}
	released := func(given caddytest.Answer, body, visits string) {
		t.Helper()
		// The first ask began the session, and the replays used it.
		session := given.Header.Values("Set-Cookie")
		if given.Status != http.StatusOK || given.Body != body || given.Release() != "replay" || given.Header.Get("X-Visits") != visits ||
			len(session) != 1 || !strings.HasPrefix(session[0], "PHPSESSID=") {
			t.Errorf("the poll was answered %+v, want %s", given, body)
		}
	}

	one := caddytest.Get(t.Context(), site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "") // without news
	caddy.AwaitWaiting(t, "messages", 1)
	sign("Grüße & more")
	released(<-one, `["Gr\u00fc\u00dfe & more"]`, "3")

	const clients = 20
	var many [clients]<-chan caddytest.Answer
	for i := range many {
		many[i] = caddytest.Get(t.Context(), site+"/messages?since=1")
	}
	caddy.AwaitWaiting(t, "messages", clients)
	expect(t, "a guest book", "", caddytest.Get(t.Context(), site+"/about"))
	caddy.AwaitWaiting(t, "messages", clients)
	sign("again")
	for _, answered := range many {
		released(<-answered, `["again"]`, "2")
	}
}
