package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "CHAT_PORT", Backend: "CHAT_LEGACY_PORT", Hook: "CHAT_HOOK_PORT"}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

func start(t *testing.T) *example { return &example{runtest.Start(t, ports), t} }

func (e *example) get(path string) string {
	answer, err := http.Get(e.Address + path)
	if err != nil {
		e.t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		e.t.Errorf("GET %s is answered %s %s, %v", path, answer.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

func (e *example) write(path, text string) {
	e.t.Helper()
	answer, err := http.PostForm(e.Address+path, url.Values{"name": {"Ada"}, "text": {text}})
	if err != nil {
		e.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		e.t.Fatalf("POST %s is answered %s", path, answer.Status)
	}
}

// held starts a poll, and returns once it is the one that is held.
func (e *example) held(since string) (answer <-chan string) {
	answers := make(chan string, 1)
	go func() { answers <- e.get("/messages?since=" + since) }()
	runtest.Eventually(e.t, "the poll is held", func() bool { return e.number("/held", "waiting") == 1 })
	return answers
}

// number is a member of the JSON object at the path.
func (e *example) number(path, member string) int {
	var object map[string]any
	json.Unmarshal([]byte(e.get(path)), &object)
	n, _ := object[member].(float64)
	return int(n)
}

func TestAPollIsHeldUntilSomebodyWrites(t *testing.T) {
	e := start(t)
	answer := e.held("0")
	if polls := e.number("/stats", "polls"); polls != 1 {
		t.Errorf("the backend saw %d polls, want 1", polls)
	}
	e.write("/messages", "hello")
	if body := runtest.Within(t, "the held poll", answer); !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("the held poll is answered %s", body)
	}
	if polls := e.number("/stats", "polls"); polls != 2 {
		t.Errorf("the backend saw %d polls, want 2", polls)
	}
}

func TestAroundParkerAPollIsAnsweredAtOnce(t *testing.T) {
	e := start(t)
	if body := e.get("/direct/messages?since=0"); body != "[]" {
		t.Errorf("a poll of an empty chat is answered %s, want []", body)
	}
	answer := e.held("0")
	e.write("/direct/messages", "hello")
	if body := runtest.Within(t, "the held poll", answer); !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("the held poll is answered %s", body)
	}
}

func TestBothPagesAreServed(t *testing.T) {
	e := start(t)
	for path, want := range map[string]string{"/": "Around parker", "/chat": "Write a message", "/direct/chat": "Write a message"} {
		if body := e.get(path); !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
}

func TestOnlyTheCountOfTheHookIsWithinReach(t *testing.T) {
	e := start(t)
	answer := e.held("0")
	publish, err := http.Post(e.Address+"/held", "text/plain", strings.NewReader("forged"))
	if err != nil {
		t.Fatal(err)
	}
	publish.Body.Close()
	if publish.StatusCode != http.StatusNotFound {
		t.Errorf("POST /held is answered %s", publish.Status)
	}
	if waiting := e.number("/held?channel=other", "waiting"); waiting != 1 {
		t.Errorf("%d are waiting, want 1", waiting)
	}
	e.write("/messages", "hello")
	if body := runtest.Within(t, "the held poll", answer); strings.Contains(body, "forged") {
		t.Errorf("the held poll is answered %s", body)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	e := start(t)
	answer := e.held("0")
	e.Interrupt()
	if body := runtest.Within(t, "the held poll", answer); body != "[]" {
		t.Errorf("the held poll is answered %s, want []", body)
	}
}

func TestTheLegacyChatEndsWhereTheExampleIsKilled(t *testing.T) {
	e := start(t)
	if err := e.Command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	e.BackendEnds()
}

func TestAPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, variable := range []string{ports.Site, ports.Backend, ports.Hook} {
		complaints := runtest.Complaints(t, ports, variable+"="+port)
		for _, want := range []string{variable, port, "in use"} {
			if !strings.Contains(complaints, want) {
				t.Errorf("its complaint lacks %q: %s", want, complaints)
			}
		}
	}
}
