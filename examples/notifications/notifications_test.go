package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "NOTIFICATIONS_PORT", Backend: "NOTIFICATIONS_PHP_PORT", Hook: "NOTIFICATIONS_HOOK_PORT"}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

func start(t *testing.T) *example {
	t.Helper()
	caddytest.Need(t, "PHP is missing: install php-cli and php-sqlite3.", "php")
	return &example{runtest.Start(t, ports), t}
}

// url is that of what a user has after the number.
func (e *example) url(user string, after int) string {
	return e.Address + "/notifications?user=" + user + "&after=" + strconv.Itoa(after)
}

func (e *example) send(user, text string) {
	e.t.Helper()
	form := url.Values{"text": {text}}.Encode()
	sent := caddytest.Do(e.t.Context(), http.MethodPost, e.Address+"/notifications?user="+user, form, "Content-Type: application/x-www-form-urlencoded")
	if sent.Status != http.StatusCreated {
		e.t.Fatalf("sending is answered %+v", sent)
	}
}

// texts is what the notifications of an answer or an event say, one after the
// other.
func (e *example) texts(body string) string {
	e.t.Helper()
	var notifications []struct {
		ID   int
		Text string
	}
	if err := json.Unmarshal([]byte(body), &notifications); err != nil {
		e.t.Fatalf("%s is no list of notifications: %v", body, err)
	}
	var texts []string
	for _, n := range notifications {
		texts = append(texts, strconv.Itoa(n.ID)+" "+n.Text)
	}
	return strings.Join(texts, ", ")
}

// hears fails the test unless the stream's next event has just these texts.
func (e *example) hears(s *caddytest.Stream, want string) caddytest.Event {
	e.t.Helper()
	event := s.Next(e.t)
	if got := e.texts(event.Data); got != want || event.Type != "" {
		e.t.Errorf("heard %q of type %q, want %q", got, event.Type, want)
	}
	return event
}

func TestWhatIsSentArrivesOnTheStream(t *testing.T) {
	e := start(t)
	e.send("ada", "before")
	s := caddytest.Listen(t, e.url("ada", 0))
	e.hears(s, "1 before")
	e.send("ada", "Grüße & <more>")
	e.hears(s, "1 before, 2 Grüße & <more>")
}

func TestWhatWasMissedArrivesAfterAReconnect(t *testing.T) {
	e := start(t)
	s := caddytest.Listen(t, e.url("ada", 0))
	e.send("ada", "one")
	heard := e.hears(s, "1 one")
	s.Leave()
	e.send("ada", "two")
	e.send("ada", "three")

	// As a browser does by itself: the same URL, and the field.
	e.hears(caddytest.Listen(t, e.url("ada", 0), "Last-Event-ID: "+heard.ID), "1 one, 2 two, 3 three")
	// As the page does: what it knows is in the URL.
	again := caddytest.Listen(t, e.url("ada", 1)+"&last_event_id="+heard.ID)
	e.hears(again, "2 two, 3 three")
	e.send("ada", "four")
	e.hears(again, "2 two, 3 three, 4 four")
}

func TestWhatIsAnotherUsersIsNotHeard(t *testing.T) {
	e := start(t)
	ada, grace := caddytest.Listen(t, e.url("ada", 0)), caddytest.Listen(t, e.url("grace", 0))
	e.send("ada", "for Ada")
	e.hears(ada, "1 for Ada")
	e.send("grace", "for Grace")
	e.hears(grace, "2 for Grace")
}

func TestAPollOfTheSameURLIsHeld(t *testing.T) {
	e := start(t)
	answered := caddytest.Get(t.Context(), e.url("ada", 0))
	caddytest.AwaitWaiting(t, "http://127.0.0.1:"+e.HookPort+"/notifications/ada", 1)
	e.send("ada", "hello")
	if answer := <-answered; e.texts(answer.Body) != "1 hello" || answer.Release() != "replay" {
		t.Errorf("the poll is answered %+v", answer)
	}
}

func TestWhatTheBackendRefusesIsRefused(t *testing.T) {
	e := start(t)
	for query, want := range map[string]int{"user=ada&after=x": http.StatusBadRequest, "user=../x": http.StatusBadRequest, "": http.StatusBadRequest} {
		if s := caddytest.Listen(t, e.Address+"/notifications?"+query); s.Status != want {
			t.Errorf("a stream of ?%s is answered %d, want %d", query, s.Status, want)
		}
	}
}

func TestThePageIsServed(t *testing.T) {
	e := start(t)
	if page := caddytest.Do(t.Context(), http.MethodGet, e.Address+"/", ""); !strings.Contains(page.Body, "new EventSource") {
		t.Errorf("the page is answered %+v", page)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	e := start(t)
	s := caddytest.Listen(t, e.url("ada", 0))
	e.Interrupt()
	if rest, err := s.Rest(t); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %v, %v", rest, err)
	}
}

func TestWithoutPHPItSaysWhatToInstall(t *testing.T) {
	if complaints := runtest.Complaints(t, ports, "PATH="); !strings.Contains(complaints, "install php-cli and php-sqlite3") {
		t.Errorf("it complains: %s", complaints)
	}
}
