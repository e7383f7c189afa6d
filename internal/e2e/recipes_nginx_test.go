package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestRecipeForNginxSendsOnlyPollsAndWritesThroughCaddy(t *testing.T) {
	t.Parallel()
	caddytest.Need(t, "nginx is missing: install nginx.", "nginx", "/usr/sbin/nginx")
	f := startFronted(t)
	f.client = caddytest.StartNginxWith(t, f.page.block("nginx", 0, "127.0.0.1:8081", f.parker, "127.0.0.1:8000", f.application))
	f.sendsOnlyPollsAndWritesThroughCaddy(t)
}

func TestRecipeForApacheSendsOnlyPollsAndWritesThroughCaddy(t *testing.T) {
	t.Parallel()
	apache := caddytest.Need(t, "Apache is missing: install apache2.", "apache2", "/usr/sbin/apache2")
	f := startFronted(t)
	address, dir := fmt.Sprint("127.0.0.1:", caddytest.LastingPort(t)), t.TempDir()
	config := filepath.Join(dir, "apache.conf")
	write(t, config, fmt.Sprintf(apacheConfig, dir, address)+
		f.page.block("apache", 0, "127.0.0.1:8081", f.parker, "127.0.0.1:8000", f.application))
	runServer(t, apache, "-D", "FOREGROUND", "-f", config)
	caddytest.Await(t, "Apache serves "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	f.client = &caddytest.Client{URL: "http://" + address, Transport: new(http.Transport)}
	f.sendsOnlyPollsAndWritesThroughCaddy(t)
	f.caddy.Stop(t) // Apache ends only once the stream has
}

// apacheConfig is what Apache needs to run as any user, before what the recipe says.
const apacheConfig = `
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
ServerName example.com
Listen %[2]s
User nobody
Group nogroup
LoadModule mpm_event_module  /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module      /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
`

// fronted is the recipe's set-up: an application, Caddy with parker before it, and
// another server in front of both.
type fronted struct {
	page                recipe
	caddy               *caddytest.Caddy
	parker, application string // where they listen
	client              *caddytest.Client

	mu    sync.Mutex // guards news and seen
	news  string
	seen  map[string]http.Header // the newest request for each path, as the application saw it
	hosts map[string]string
}

func startFronted(t *testing.T) *fronted {
	t.Helper()
	f := &fronted{page: readRecipe(t, "nginx"), news: "[]", seen: make(map[string]http.Header), hosts: make(map[string]string)}
	f.application = caddytest.Serve(t, f.serve)
	f.parker = caddytest.FreePorts(t, 1)[0]
	_, port, _ := net.SplitHostPort(f.parker)
	caddyfile := f.page.block("caddyfile", 0,
		"{\n\tservers", "{\n\t{$GLOBAL}\n\tservers", ":8081", ":"+port, "127.0.0.1:8000", f.application, "http://127.0.0.1:9080", "http://{$HOOK}")
	f.caddy = caddytest.Start(t, caddyfile+"\nhttp://{$SITE} {\n\trespond up\n}\n", "")
	return f
}

// serve is the application: what is written is what polls are answered from then on.
func (f *fronted) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[r.URL.Path], f.hosts[r.URL.Path] = r.Header, r.Host
	if r.Method == http.MethodPost {
		f.news = `["written"]`
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, f.news)
}

// seenAt is the newest request for a path that the application saw.
func (f *fronted) seenAt(path string) (header http.Header, host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[path], f.hosts[path]
}

func (f *fronted) sendsOnlyPollsAndWritesThroughCaddy(t *testing.T) {
	t.Helper()
	throughCaddy := func(answer caddytest.Answer) bool {
		return strings.Contains(strings.Join(answer.Header.Values("Via"), ","), "Caddy")
	}
	if other := f.client.Do(t.Context(), http.MethodGet, "/other", ""); other.Body != "[]" || throughCaddy(other) {
		t.Errorf("another page is answered %+v", other)
	}
	waiting := f.client.Get(t.Context(), "/messages")
	f.caddy.AwaitWaiting(t, "messages", 1)
	stream := caddytest.ListenWith(t, f.client.Transport, f.client.URL+"/messages")
	f.caddy.AwaitWaiting(t, "messages", 1)
	f.client.Do(t.Context(), http.MethodPost, "/messages", "text=hello")
	if given := <-waiting; given.Body != `["written"]` || given.Release() != "replay" || !throughCaddy(given) {
		t.Errorf("the poll is answered %+v", given)
	}
	hears(t, stream, `["written"]`)
	poll, host := f.seenAt("/messages")
	if forwarded := poll.Get("X-Forwarded-For"); !strings.HasPrefix(forwarded, "127.0.0.1, ") || strings.Count(forwarded, ",") != 1 {
		t.Errorf("the application sees the client %s", forwarded)
	}
	if url := strings.TrimPrefix(f.client.URL, "http://"); host != url && host != "127.0.0.1" {
		t.Errorf("the application sees the host %s, not that of %s", host, url)
	}
}
