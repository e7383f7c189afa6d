package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// atOnce is the time within which Caddy must have stopped, on a busy machine.
const atOnce = 10 * time.Second

// withHook returns a Caddyfile of one site with the given directives, and a hook. Before
// the site come global options, if there are any.
func withHook(directives string, globals ...string) string {
	before := ""
	if len(globals) > 0 {
		before = "{\n{$GLOBAL}\n" + strings.Join(globals, "\n") + "\n}\n"
	}
	return before + "http://{$SITE} {\n" + directives + "\n}\nhttp://{$HOOK} {\nparker_publish\n}\n"
}

// parking returns a site that parks all polls, with the given options and look_again
// off, and publishes each write on the channel that is its path.
func parking(options string) string { return newsSite("look_again off\n" + options) }

// newsSite is like [parking] with the default of look_again.
func newsSite(options string) string {
	return withHook("parker_notify\nparker {\n" + options + "\n}\nreverse_proxy {$BACKEND}")
}

// configuration returns a Caddyfile with the given global options, route and upstream.
func configuration(globals, route, upstream string) string {
	return withHook(route+"\nreverse_proxy "+upstream, globals)
}

// startScripted starts Caddy with a backend whose asks the test answers.
func startScripted(t *testing.T, caddyfile string, env ...string) (*caddytest.Caddy, *caddytest.Scripted) {
	t.Helper()
	backend := caddytest.NewScripted(t)
	return caddytest.Start(t, caddyfile, backend.Address, env...), backend
}

// emptyList is a page with nothing new.
var emptyList = caddytest.Page{Header: http.Header{"Content-Type": {"application/json"}, "X-Legacy": {"yes"}}, Body: "[]"}

// startNews starts Caddy with a backend whose page /news is an empty list at the start.
func startNews(t *testing.T, caddyfile string, env ...string) (*caddytest.Caddy, *caddytest.Pages) {
	t.Helper()
	pages := caddytest.NewPages(t)
	pages.Put("/news", emptyList)
	return caddytest.Start(t, caddyfile, pages.Address, env...), pages
}

// park parks a poll on the channel that is its path. The backend answers it with an empty
// list.
func park(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, path string, header ...string) <-chan caddytest.Answer {
	t.Helper()
	channel, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "?")
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+path, header...)
	backend.Next(t).Answer(http.StatusOK, "[]")
	caddy.AwaitWaiting(t, channel, 1)
	return parked
}

// listen opens a stream on /news whose backend has nothing new.
func listen(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, header ...string) (s *caddytest.Stream, id string) {
	t.Helper()
	s = listenWhile(t, caddy, func() { backend.Next(t).Answer(http.StatusNoContent, "") }, header...)
	return s, s.NextID(t, "")
}

// listenWhile opens a stream on /news, while the test answers the backend's asks. It
// returns when both have happened.
func listenWhile(t *testing.T, caddy *caddytest.Caddy, answer func(), header ...string) *caddytest.Stream {
	t.Helper()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answer()
	}()
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news", header...)
	<-answered
	return s
}

// awaitStreams returns when the hook counts exactly n streams on the channel.
func awaitStreams(t *testing.T, c *caddytest.Caddy, channel string, n int) {
	t.Helper()
	want := fmt.Sprintf(`"streams":%d,`, n)
	caddytest.Await(t, fmt.Sprint(n, " streams are open on ", channel), func() bool {
		return strings.Contains(caddytest.Do(t.Context(), http.MethodGet, "http://"+c.Hook+"/"+channel, "").Body, want)
	})
}

// awaitJoined returns when exactly n polls wait for the answer to another poll's ask.
func awaitJoined(t *testing.T, caddy *caddytest.Caddy, n int) {
	t.Helper()
	awaitFigure(t, caddy, "parker_asks_joined", n)
}

// awaitQueued returns when exactly n asks wait for their turn.
func awaitQueued(t *testing.T, caddy *caddytest.Caddy, n int) {
	t.Helper()
	awaitFigure(t, caddy, "parker_asks_queued", n)
}

// awaitFigure returns when a metric of all handlers together is exactly n.
func awaitFigure(t *testing.T, caddy *caddytest.Caddy, metric string, n int) {
	t.Helper()
	caddytest.Await(t, fmt.Sprint(metric, " is ", n), func() bool {
		sum := 0.0
		for name, figure := range figures(t, caddy) {
			if strings.HasPrefix(name, metric+"{") {
				sum += figure
			}
		}
		return sum == float64(n)
	})
}

// release publishes without a message and checks how many requests are released.
func release(t *testing.T, caddy *caddytest.Caddy, channel string, want int) {
	t.Helper()
	if p := caddy.PublishWith(t, channel, ""); p.Released != want {
		t.Errorf("%d requests were released, want %d", p.Released, want)
	}
}

// doLater sends a request in the background.
func doLater(t *testing.T, method, url, body string, header ...string) <-chan caddytest.Answer {
	answered := make(chan caddytest.Answer, 1)
	go func() { answered <- caddytest.Do(t.Context(), method, url, body, header...) }()
	return answered
}

// answerIn returns the answer, and fails the test if none comes in time.
func answerIn(t *testing.T, answers <-chan caddytest.Answer) caddytest.Answer {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(caddytest.ClientPatience):
		t.Fatal("no answer")
		return caddytest.Answer{}
	}
}

// expect checks that each poll is answered with the body, for the reason that
// Parker-Status gives. The status is 200, or one of those without a body.
func expect(t *testing.T, body, release string, polls ...<-chan caddytest.Answer) {
	t.Helper()
	for i, poll := range polls {
		g := answerIn(t, poll)
		bodiless := body == "" && (g.Status == http.StatusNoContent || g.Status == http.StatusNotModified)
		if g.Err != nil || g.Status != http.StatusOK && !bodiless || g.Body != body || g.Release() != release && release != "" {
			t.Errorf("poll %d was answered %d %.200q, release=%s, %v; want %.200q, release=%s", i, g.Status, g.Body, g.Release(), g.Err, body, release)
		}
	}
}

// hears checks that the next events of the stream have the data.
func hears(t *testing.T, s *caddytest.Stream, data ...string) {
	t.Helper()
	for _, want := range data {
		if e := s.Next(t); e.Data != want {
			t.Errorf("heard %+.200v, want %.200q", e, want)
		}
	}
}

// hearsAt checks that the next event of the stream has the data and the position.
func hearsAt(t *testing.T, s *caddytest.Stream, data, position string) {
	t.Helper()
	if e := s.Next(t); e.Data != data || e.ID != position || e.Type != "" {
		t.Errorf("heard %+.200v, want %.200q at %s", e, data, position)
	}
}

// ends checks that the stream ends cleanly, after events with the data.
func ends(t *testing.T, s *caddytest.Stream, data ...string) {
	t.Helper()
	rest, err := s.Rest(t)
	right := err == nil && len(rest) == len(data)
	for i := 0; right && i < len(data); i++ {
		right = rest[i].Data == data[i]
	}
	if !right {
		t.Errorf("the stream ended with %+.200v and %v, want %q", rest, err, data)
	}
}

// stops checks that Caddy stops within a short time.
func stops(t *testing.T, caddy interface {
	Stop(testing.TB) time.Duration
}) {
	t.Helper()
	if took := caddy.Stop(t); took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
}
