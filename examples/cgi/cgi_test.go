package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "GUESTBOOK_PORT", Backend: "GUESTBOOK_SERVER_PORT", Hook: "GUESTBOOK_HOOK_PORT"}

const (
	script  = "/cgi-bin/guestbook.pl"
	nothing = "<title>No new entries</title>"
)

// channel is what readers wait on.
var channel = "guestbook"

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

func start(t *testing.T) *example {
	t.Helper()
	caddytest.Need(t, "Perl is missing: install perl.", "perl")
	caddytest.Need(t, "lighttpd is missing: install lighttpd.", "lighttpd", "/usr/sbin/lighttpd")
	return &example{runtest.Start(t, ports), t}
}

func (e *example) get(path string) caddytest.Answer {
	e.t.Helper()
	answer := caddytest.Do(e.t.Context(), http.MethodGet, e.Address+path, "")
	if answer.Err != nil || answer.Status != http.StatusOK {
		e.t.Fatalf("%s is answered %+v", path, answer)
	}
	return answer
}

func (e *example) post(name, text string) caddytest.Answer {
	form := url.Values{"name": {name}, "text": {text}}.Encode()
	return caddytest.Do(e.t.Context(), http.MethodPost, e.Address+script, form, "Content-Type: application/x-www-form-urlencoded")
}

func (e *example) sign(name, text string) {
	e.t.Helper()
	if answer := e.post(name, text); answer.Status != http.StatusSeeOther {
		e.t.Fatalf("signing is answered %+v", answer)
	}
}

// held has readers load the page that know the entries up to a number, and returns
// once all are held.
func (e *example) held(readers, after int) []<-chan caddytest.Answer {
	e.t.Helper()
	answered := make([]<-chan caddytest.Answer, readers)
	for i := range answered {
		answered[i] = caddytest.Get(e.t.Context(), e.Address+script+"?after="+strconv.Itoa(after))
	}
	caddytest.AwaitWaiting(e.t, "http://127.0.0.1:"+e.HookPort+"/"+channel, readers)
	return answered
}

// starts is how often Perl was started to show the entries.
func (e *example) starts() int {
	e.t.Helper()
	found := regexp.MustCompile(`<b>(\d+)</b> times in all`).FindStringSubmatch(e.get("/cgi-bin/counter.pl").Body)
	if found == nil {
		e.t.Fatal("the counter does not tell")
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func TestReadersAreHeldUntilSomebodySignsAndShareOneStartOfPerl(t *testing.T) {
	e := start(t)
	answered := e.held(20, 0)
	before := e.starts()
	e.sign("Ada", "hello")
	for _, c := range answered {
		answer := runtest.Within(t, "a held page", c)
		if answer.Release() != "replay" || !strings.Contains(answer.Body, "<b>Ada</b>") || !strings.Contains(answer.Body, "url=guestbook.pl?after=1") {
			t.Errorf("a held page is answered %+v", answer)
		}
	}
	if n := e.starts() - before; n != 1 {
		t.Errorf("Perl was started %d times for 20 readers, want once", n)
	}
}

func TestWhoKnowsLessIsAnsweredAtOnceAndAroundParkerEverybody(t *testing.T) {
	e := start(t)
	e.sign("Ada", "hello")
	for path, want := range map[string]struct{ title, release string }{
		script:                          {"<title>All entries</title>", "none"},
		script + "?after=0":             {"<title>New entries: 1</title>", "none"},
		"/direct" + script + "?after=1": {nothing, ""},
	} {
		if answer := e.get(path); answer.Release() != want.release || !strings.Contains(answer.Body, want.title) {
			t.Errorf("%s is answered %+v, want %+v", path, answer, want)
		}
	}
}

func TestAScriptThatWritesTheFileItselfSaysSoToTheHook(t *testing.T) {
	e := start(t)
	answered := e.held(1, 0)
	direct := "http://127.0.0.1:" + e.BackendPort + script
	if signed := caddytest.Do(t.Context(), http.MethodPost, direct, "name=Cron&text=Good+morning"); signed.Status != http.StatusSeeOther {
		t.Fatalf("signing is answered %+v", signed)
	}
	caddytest.Do(t.Context(), http.MethodPost, "http://127.0.0.1:"+e.HookPort+"/guestbook", "")
	if answer := runtest.Within(t, "the held page", answered[0]); !strings.Contains(answer.Body, "Good morning") {
		t.Errorf("the held page is answered %+v", answer)
	}
}

func TestTheGuestbookIsAsWithoutParker(t *testing.T) {
	e := start(t)
	for name, test := range map[string]func(*testing.T, *example){
		"an entry cannot pass for nothing new":      anEntryCannotPassForNothingNew,
		"none of many signatures is lost":           noneOfManySignaturesIsLost,
		"what cannot be signed is refused":          whatCannotBeSignedIsRefused,
		"the pages are served, and the file is not": pagesAreServedAndTheFileIsNot,
	} {
		t.Run(name, func(t *testing.T) { test(t, &example{e.Example, t}) })
	}
}

func anEntryCannotPassForNothingNew(t *testing.T, e *example) {
	e.sign(nothing, `<meta http-equiv="refresh" content="0"> & "more"`)
	answer := e.get(script + "?after=0")
	if answer.Release() != "none" || strings.Contains(answer.Body, nothing) || !strings.Contains(answer.Body, "&lt;meta http-equiv=&quot;refresh&quot; content=&quot;0&quot;&gt; &amp; &quot;more&quot;") {
		t.Errorf("the page is answered %+v", answer)
	}
}

func noneOfManySignaturesIsLost(t *testing.T, e *example) {
	const signers = 20
	var signing sync.WaitGroup
	for i := range signers {
		signing.Go(func() { e.post("Ada", fmt.Sprintf("line one\r\nline\ttwo of %d.", i)) })
	}
	signing.Wait()
	page := e.get(script).Body
	for i := range signers {
		if want := fmt.Sprintf("<br>line one line two of %d.</p>", i); !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func whatCannotBeSignedIsRefused(t *testing.T, e *example) {
	for _, refused := range []struct {
		name, text string
		want       int
	}{
		{"", "hello", http.StatusBadRequest},
		{"Ada", " \n", http.StatusBadRequest},
		{strings.Repeat("x", 161), "hello", http.StatusBadRequest},
		{"Ada", strings.Repeat("x", 2001), http.StatusBadRequest},
		{"Ada", strings.Repeat("x", 10_000), http.StatusRequestEntityTooLarge},
	} {
		if answer := e.post(refused.name, refused.text); answer.Status != refused.want {
			t.Errorf("%.20q, %.20q is answered %+v, want %d", refused.name, refused.text, answer, refused.want)
		}
	}
	if answer := caddytest.Do(t.Context(), http.MethodDelete, e.Address+script, ""); answer.Status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE is answered %+v", answer)
	}
	if page := e.get(script).Body; strings.Contains(page, "xxx") {
		t.Errorf("what was refused was kept: %s", page)
	}
}

func pagesAreServedAndTheFileIsNot(t *testing.T, e *example) {
	for path, want := range map[string]string{"/": "<frameset", "/head.html": "around it", "/form.html": "<form"} {
		if page := e.get(path).Body; !strings.Contains(page, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	e.sign("Ada", "hello")
	if answer := caddytest.Do(t.Context(), http.MethodGet, e.Address+"/cgi-bin/../../guestbook.txt", ""); answer.Status == http.StatusOK {
		t.Errorf("the file is answered %+v", answer)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	e := start(t)
	answered := e.held(1, 0)
	e.Interrupt()
	if answer := runtest.Within(t, "the held page", answered[0]); !strings.Contains(answer.Body, nothing) || answer.Release() != "stop" {
		t.Errorf("the held page is answered %+v", answer)
	}
}

func TestWithoutPerlItSaysWhatToInstall(t *testing.T) {
	if complaints := runtest.Complaints(t, ports, "PATH="); !strings.Contains(complaints, "install perl") {
		t.Errorf("it complains: %s", complaints)
	}
}
