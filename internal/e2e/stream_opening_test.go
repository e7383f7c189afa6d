package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamOpensWithCurrentAnswerIfNews(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	target := "http://" + caddy.Site + "/news"
	pages.Put("/news", caddytest.Page{Header: http.Header{"Content-Type": {"text/html"}}, Body: "line 1\r\nline 2"})
	at := caddy.PublishWith(t, "elsewhere", "").Position
	s := caddytest.Listen(t, target)
	if c := s.Comment(t); c != "parker" {
		t.Errorf("the first comment is %q", c)
	}
	hearsAt(t, s, "line 1\nline 2", at)
	// The same answer again brings no event, only a new position.
	at = caddy.PublishWith(t, "news", "").Position
	if id := s.NextID(t, ""); id == at {
		return
	}
	if id := s.NextID(t, ""); id != at {
		t.Errorf("after a wake-up without news the client's last ID is %s, want %s", id, at)
	}
}

func TestStreamRetryTimesDifferBetweenClients(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite("sse {\nretry 8s\n}"))
	told := make(map[string]bool)
	for range 10 {
		s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
		text := s.Retry(t)
		told[text] = true
		if ms, err := strconv.Atoi(text); err != nil || ms < 6000 || ms > 10_000 {
			t.Errorf("a client got the retry time %q ms", text)
		}
		s.Leave()
	}
	if len(told) < 5 {
		t.Errorf("ten clients got the retry times %v", told)
	}
}

func TestStreamPassesOnRefusalOfFirstAsk(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	for _, status := range []int{301, 302, 401, 403, 404, 429, 500, 501} {
		header := http.Header{"Location": {"/login"}, "Www-Authenticate": {"Basic"}, "Content-Type": {"text/x-refusal"}}
		pages.Put("/news", caddytest.Page{Status: status, Header: header, Body: "refused"})
		g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Accept: text/event-stream")
		if g.Status != status || g.Body != "refused" || g.Header.Get("Content-Type") != "text/x-refusal" || g.Header.Get("Location") != "/login" ||
			g.Header.Get("Www-Authenticate") != "Basic" || g.Release() != "none" {
			t.Errorf("a stream that is refused was answered %+v", g)
		}
	}
	awaitStreams(t, caddy, "news", 0)
}

// A client that also accepts other answers sees that the backend is away.
func TestStreamPassesOnBackendFailureToMixedAccept(t *testing.T) {
	t.Parallel()
	ask := func(caddy *caddytest.Caddy) caddytest.Answer {
		return caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Accept: application/json, text/event-stream")
	}
	nobody := caddytest.Start(t, newsSite(""), caddytest.FreePorts(t, 1)[0])
	if g := ask(nobody); g.Status != http.StatusBadGateway {
		t.Errorf("a stream without a backend was answered %+v", g)
	}
	caddy, pages := startNews(t, newsSite(""))
	for _, status := range []int{502, 503, 504} {
		pages.Put("/news", caddytest.Page{Status: status, Header: http.Header{"Retry-After": {"7"}}, Body: "away"})
		if g := ask(caddy); g.Status != status || g.Body != "away" || g.Header.Get("Retry-After") != "7" {
			t.Errorf("a stream of a backend that is away was answered %+v", g)
		}
	}
}

func TestStreamAsksBackendForAnyTypeUncompressed(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	go func() {
		ask := backend.Next(t)
		if accept := ask.Request.Header["Accept"]; !slices.Equal(accept, []string{"text/event-stream, */*;q=0.1"}) {
			t.Errorf("the backend was asked for %q", accept)
		}
		if coding := ask.Request.Header["Accept-Encoding"]; !slices.Equal(coding, []string{"identity"}) {
			t.Errorf("the backend was asked for the coding %q", coding)
		}
		ask.Answer(http.StatusOK, "news")
	}()
	hears(t, caddytest.Listen(t, "http://"+caddy.Site+"/news", "Accept-Encoding: gzip, br"), "news")
}

func TestStreamDecodesCompressedBackendAnswers(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	coded := func(coding, body string) caddytest.Page {
		return caddytest.Page{Header: http.Header{"Content-Encoding": {coding}, "Content-Type": {"text/html"}}, Body: body}
	}
	pages.Put("/news", coded("gzip", gzipped("first")))
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	if e := s.Next(t); e.Data != "first" || s.Header.Get("Content-Encoding") != "" {
		t.Errorf("heard %+v under %v", e, s.Header)
	}
	for text, page := range map[string]caddytest.Page{"second": coded("zstd", zstdded("second"))} {
		pages.Put("/news", page)
		caddy.Publish(t, "news", "", "")
		hears(t, s, text)
	}
	pages.Put("/news", coded("br", "no text"))
	caddy.Publish(t, "news", "", "")
	if e := s.Next(t); e.Type != "parker.error" || e.Data != `{"status":502}` {
		t.Errorf("with an unknown coding, heard %+v", e)
	}
	ends(t, s)
}

func TestStreamGetsCookiesOfFirstAnswer(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	for _, body := range []string{"[]", "news"} {
		pages.Put("/news", caddytest.Page{Header: http.Header{
			"Set-Cookie": {"a=1; Path=/", "b=2"}, "Access-Control-Allow-Origin": {"https://page.test"}, "Etag": {`"x"`}, "X-Legacy": {"yes"},
		}, Body: body})
		s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
		if got := s.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1; Path=/", "b=2"}) {
			t.Errorf("with %q the cookies are %q", body, got)
		}
		if s.Header.Get("Access-Control-Allow-Origin") != "https://page.test" || s.Header.Get("Etag") != "" || s.Header.Get("Content-Length") != "" {
			t.Errorf("with %q the stream began with %v", body, s.Header)
		}
	}
}

func TestStreamReturnsCookiesOfLaterAnswersToBackend(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	s, _ := listen(t, caddy, backend, "Cookie: session=0; other=x")
	for i, want := range []string{"session=0; other=x", "session=1; other=x", "session=2; other=x"} {
		caddy.Publish(t, "news", "", "")
		ask := backend.Next(t)
		if got := ask.Request.Header.Get("Cookie"); got != want {
			t.Errorf("replay %d came with %q, want %q", i, got, want)
		}
		text := strconv.Itoa(i + 1)
		ask.Answer(http.StatusOK, "news "+text, "Set-Cookie: session="+text)
		hears(t, s, "news "+text)
	}
}

func TestStreamOpensByPost(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, strings.Replace(newsSite("methods GET POST"), "parker_notify", "", 1))
	go func() { backend.Next(t).Answer(http.StatusNoContent, "") }()
	s := caddytest.ListenBy(t, http.MethodPost, "http://"+caddy.Site+"/news", "the question")
	s.NextID(t, "")
	for _, text := range []string{"one", "two"} {
		caddy.Publish(t, "news", "", "")
		ask := backend.Next(t)
		if ask.Body != "the question" || ask.Request.Method != http.MethodPost {
			t.Errorf("the replay is %s %q", ask.Request.Method, ask.Body)
		}
		ask.Answer(http.StatusOK, text)
		hears(t, s, text)
	}
}

func TestStreamIsNotOpenedByHead(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite("methods GET HEAD\ntimeout 100ms"))
	pages.Put("/news", caddytest.Page{Header: http.Header{"X-Legacy": {"yes"}}, Body: "news"})
	for _, text := range []string{"news", ""} {
		pages.Put("/news", caddytest.Page{Header: http.Header{"X-Legacy": {"yes"}}, Body: text})
		g := caddytest.Do(t.Context(), http.MethodHead, "http://"+caddy.Site+"/news", "", "Accept: text/event-stream")
		if g.Status != http.StatusOK || g.Header.Get("X-Legacy") != "yes" || g.Header.Get("Content-Type") == "text/event-stream" {
			t.Errorf("HEAD was answered %+v", g)
		}
	}
}
