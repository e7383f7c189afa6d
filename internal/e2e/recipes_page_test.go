package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// webPage is a page in a browser. Its requests have the header fields that browsers add.
type webPage struct {
	t       *testing.T
	site    *url.URL
	path    string // of the document
	cookies http.CookieJar
}

// openPage loads a document of the site in a new browser.
func openPage(t *testing.T, site, path string) *webPage {
	t.Helper()
	cookies, _ := cookiejar.New(nil)
	p := &webPage{t: t, site: &url.URL{Scheme: "http", Host: site}, path: path, cookies: cookies}
	p.load()
	return p
}

// load loads the document, as it is also done by a reload and in a second tab.
func (p *webPage) load() {
	p.t.Helper()
	loaded := p.do(http.MethodGet, p.path, "", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Upgrade-Insecure-Requests: 1")
	if loaded.Status != http.StatusOK {
		p.t.Fatalf("the page %s was answered %+v", p.path, loaded)
	}
}

// fetch sends a request by a script of the page, in the background.
func (p *webPage) fetch(method, path, body string, header ...string) <-chan caddytest.Answer {
	answered := make(chan caddytest.Answer, 1)
	header = append([]string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin",
		"Referer: " + p.site.JoinPath(p.path).String()}, header...)
	if method != http.MethodGet {
		header = append(header, "Origin: "+p.site.String())
	}
	go func() { answered <- p.do(method, path, body, header...) }()
	return answered
}

// do sends a request with the browser's cookies, and keeps those that the answer sets.
func (p *webPage) do(method, path, body string, header ...string) caddytest.Answer {
	target, err := p.site.Parse(path)
	if err != nil {
		return caddytest.Answer{Err: err}
	}
	header = append(header, "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	var pairs []string
	for _, cookie := range p.cookies.Cookies(target) {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	if len(pairs) > 0 {
		header = append(header, "Cookie: "+strings.Join(pairs, "; "))
	}
	answer := caddytest.Do(p.t.Context(), method, target.String(), body, header...)
	p.cookies.SetCookies(target, (&http.Response{Header: answer.Header}).Cookies())
	return answer
}

// awaitHeld polls as a page does that waits for its answers, until a poll is held, and returns
// that. For ten seconds after a page load, polls are held for a moment only.
func awaitHeld(t *testing.T, poll func() <-chan caddytest.Answer) <-chan caddytest.Answer {
	t.Helper()
	deadline := time.Now().Add(2 * caddytest.Patience)
	for time.Now().Before(deadline) {
		answered := poll()
		select {
		case given := <-answered:
			if given.Err != nil || given.Status/100 != 2 {
				t.Fatalf("a poll was answered %+v", given)
			}
		case <-time.After(2 * time.Second):
			return answered
		}
	}
	t.Fatal("no poll was held")
	return nil
}

// pollByTimer sends twenty polls at an interval, whether or not the ones before are
// answered, and returns all answers.
func pollByTimer(interval time.Duration, poll func() <-chan caddytest.Answer) (answers []<-chan caddytest.Answer) {
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for range 20 {
		answers = append(answers, poll())
		<-timer.C
	}
	return answers
}

// counted stands between Caddy and a program, and counts the requests that reach the
// program.
type counted struct {
	address string

	mu   sync.Mutex // guards seen
	seen []string
}

// count stands before the program at the address until the test ends.
func count(t *testing.T, address string) *counted {
	t.Helper()
	c := new(counted)
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	c.address = caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		c.mu.Lock()
		c.seen = append(c.seen, r.Method+" "+r.RequestURI+"\n"+string(body))
		c.mu.Unlock()
		forward.ServeHTTP(w, r)
	})
	return c
}

// with returns how many requests have reached the program that contain the text.
func (c *counted) with(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.seen {
		if strings.Contains(request, text) {
			n++
		}
	}
	return n
}

// fewReach checks that few of twenty polls reached a program.
func fewReach(t *testing.T, program string, asks int) {
	t.Helper()
	t.Logf("%d of twenty polls reached %s", asks, program)
	if asks > 5 {
		t.Errorf("more of them should have been held")
	}
}

// isNews checks that an answer came at once, with the text in it.
func isNews(t *testing.T, given caddytest.Answer, text string) {
	t.Helper()
	if given.Err != nil || given.Status/100 != 2 || given.Release() != "none" || !strings.Contains(given.Body, text) {
		t.Errorf("the poll was answered %+v, want %q at once", given, text)
	}
}

// isPassed checks that an answer came through untouched, with the text in it.
func isPassed(t *testing.T, given caddytest.Answer, text string) {
	t.Helper()
	if given.Err != nil || given.Status/100 != 2 || given.Release() != "" || !strings.Contains(given.Body, text) {
		t.Errorf("a call that is no poll was answered %+v, want %q", given, text)
	}
}

// isReleased checks that an answer came after a publish, with the text in it.
func isReleased(t *testing.T, given caddytest.Answer, text string) {
	t.Helper()
	if given.Err != nil || given.Status/100 != 2 || given.Release() != "replay" || !strings.Contains(given.Body, text) {
		t.Errorf("the held poll was answered %+v, want %q after a publish", given, text)
	}
}
