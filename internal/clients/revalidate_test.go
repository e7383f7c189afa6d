package clients

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// pollingPage polls as pages do that were written for plain polling: with fetch, or as
// jQuery does.
const pollingPage = `<!doctype html>
<script>
function byFetch(done) {
	fetch("/state").then(async answer => done(answer.status, await answer.text()))
}
function byXHR(done) {
	const request = new XMLHttpRequest()
	request.open("GET", "/state", true)
	request.setRequestHeader("X-Requested-With", "XMLHttpRequest")
	request.setRequestHeader("Accept", "application/json, text/javascript, */*; q=0.01")
	request.onreadystatechange = () => { if (request.readyState == 4) done(request.status, request.responseText) }
	request.send(null)
}
const poll = new URLSearchParams(location.search).get("how") == "fetch" ? byFetch : byXHR
function next(status, text) {
	console.log(status + " " + text)
	setTimeout(poll, 50, next)
}
poll(next)
</script>`

// sessionPage is a backend whose answers have the fields of a PHP page with a session. It
// notes which polls said what their client has.
type sessionPage struct {
	mu    sync.Mutex // guards what follows
	state string
	polls int
	first int // polls without If-None-Match
}

func (b *sessionPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Set-Cookie", "PHPSESSID=1; path=/")
	w.Header().Set("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")
	w.Header().Set("Cache-Control", "no-store, no-cache, must-revalidate")
	w.Header().Set("Pragma", "no-cache")
	if r.URL.Path == "/state" {
		b.polls++
		if r.Header.Get("If-None-Match") == "" {
			b.first++
		}
		fmt.Fprint(w, b.state)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, pollingPage)
}

func (b *sessionPage) set(state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = state
}

// asked returns how many polls there were, and how many of them had no condition.
func (b *sessionPage) asked() (polls, first int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.polls, b.first
}

const sessionSite = `
{
	{$GLOBAL}
}
http://{$SITE}, https://{$TLS_SITE} {
	parker /state {
		nothing_new {
			unchanged
		}
		timeout 1s
		REVALIDATE
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// trusting makes a browser take the certificates of sites for right. Otherwise it keeps
// none of their answers.
func trusting(t *testing.T, sites ...*caddytest.Secure) []chromedp.ExecAllocatorOption {
	t.Helper()
	var keys []string
	for _, site := range sites {
		connection, err := tls.Dial("tcp", site.TLSSite, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		key := sha256.Sum256(connection.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
		connection.Close()
		keys = append(keys, base64.StdEncoding.EncodeToString(key[:]))
	}
	return []chromedp.ExecAllocatorOption{
		chromedp.Flag("ignore-certificate-errors", false),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(keys, ",")),
	}
}

func TestRevalidateMakesChromiumPollWithConditions(t *testing.T) {
	t.Parallel()
	backend := &sessionPage{state: "one"}
	address := caddytest.Serve(t, backend.ServeHTTP)
	caddy := caddytest.StartSecure(t, strings.Replace(sessionSite, "REVALIDATE", "revalidate", 1), address)
	without := caddytest.StartSecure(t, strings.Replace(sessionSite, "REVALIDATE", "", 1), address)
	chromium := browser(t, trusting(t, caddy, without)...)
	var pages []*tab
	for _, site := range []string{"http://" + caddy.Site, "https://" + caddy.TLSSite} {
		for _, how := range []string{"fetch", "XMLHttpRequest"} {
			pages = append(pages, open(t, chromium, nil, site, how, ""))
		}
	}
	// Their second polls are held, and so are those after a timeout.
	caddy.AwaitWaiting(t, "state", len(pages))
	for _, page := range pages {
		caddytest.Await(t, "polls have ended by their timeout", func() bool { return len(page.heard()) >= 4 })
	}
	caddy.AwaitWaiting(t, "state", len(pages))
	backend.set("two")
	caddy.Publish(t, "state", "", "")
	for _, page := range pages {
		page.await(t, "200 two")
		for _, text := range page.heard() {
			if text != "200 one" && text != "200 two" {
				t.Errorf("a page heard %q", text)
			}
		}
	}
	if asked, first := backend.asked(); first != len(pages) {
		t.Errorf("%d of %d polls had no condition, want only the first of each of %d pages", first, asked, len(pages))
	}

	asked, first := backend.asked()
	page := open(t, chromium, nil, "https://"+without.TLSSite, "fetch", "")
	caddytest.Await(t, "the page has polled ten times", func() bool { return len(page.heard()) >= 10 })
	if now, further := backend.asked(); now-asked < 10 || further-first < 10 {
		t.Errorf("without revalidate, %d of %d polls had no condition", further-first, now-asked)
	}
}
