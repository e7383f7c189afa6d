package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "JETTY_CHAT_PORT", Backend: "JETTY_CHAT_JETTY_PORT", Hook: "JETTY_CHAT_HOOK_PORT"}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

// start runs the example with so many clients.
func start(t *testing.T, clients int) *example {
	t.Helper()
	caddytest.Need(t, "A JDK is missing: install default-jdk-headless.", "javac")
	caddytest.Need(t, "Jetty is missing: install libjetty9-java.", jars+"/jetty9-server.jar")
	caddytest.Need(t, "The servlet API is missing: install libservlet-api-java.", jars+"/servlet-api.jar")
	t.Setenv("JETTY_CHAT_CLIENTS", strconv.Itoa(clients))
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
	return caddytest.Do(e.t.Context(), http.MethodPost, e.Address+"/messages", form, "Content-Type: application/x-www-form-urlencoded")
}

func (e *example) awaitHeld(n int) {
	e.t.Helper()
	caddytest.AwaitWaiting(e.t, "http://127.0.0.1:"+e.HookPort+"/messages", n)
}

// One start of Jetty serves all of them, one after the other.
func TestAServletThatIsPolled(t *testing.T) {
	e := start(t, 0)
	for _, test := range []struct {
		name string
		run  func(*example)
	}{
		{"around parker it is answered at once", aroundParker},
		{"through parker it is held until somebody writes", throughParker},
		{"it refuses what is no message", refused},
		{"the page is served", page},
		{"clients cost it no thread while they are held", table},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(&example{e.Example, t}) })
	}
}

func aroundParker(e *example) {
	if answer := e.get("/direct/messages?since=0"); answer.Body != "[]" || answer.Release() != "" {
		e.t.Errorf("a poll of an empty chat is answered %+v", answer)
	}
}

func throughParker(e *example) {
	// Held requests share an ask even if their cookies differ.
	one := caddytest.Get(e.t.Context(), e.Address+"/messages?since=0", "Cookie: of=one")
	other := caddytest.Get(e.t.Context(), e.Address+"/messages?since=0", "Cookie: of=other")
	e.awaitHeld(2)
	before := e.asked()
	const text = "“Grüße” \\ <&> 😀\nand more"
	if answer := e.post(" Ada ", text); answer.Status != http.StatusCreated {
		e.t.Fatalf("writing is answered %+v", answer)
	}
	for _, held := range []<-chan caddytest.Answer{one, other} {
		answer := runtest.Within(e.t, "the held poll", held)
		var messages []struct{ Name, Text string }
		if err := json.Unmarshal([]byte(answer.Body), &messages); err != nil || len(messages) != 1 || messages[0].Name != "Ada" || messages[0].Text != text {
			e.t.Errorf("the held poll is answered %+v", answer)
		}
	}
	if n := e.asked() - before; n != 1 {
		e.t.Errorf("Jetty was asked %d times, want once", n)
	}
}

// asked is how often Jetty was asked for messages.
func (e *example) asked() int {
	e.t.Helper()
	var stats struct{ Asked int }
	if err := json.Unmarshal([]byte(e.get("/stats").Body), &stats); err != nil {
		e.t.Fatal(err)
	}
	return stats.Asked
}

func refused(e *example) {
	for _, form := range [][2]string{{"", "hello"}, {"Ada", " \n"}, {strings.Repeat("x", 41), "hello"}, {"Ada", strings.Repeat("x", 1001)}} {
		if answer := e.post(form[0], form[1]); answer.Status != http.StatusBadRequest {
			e.t.Errorf("%.20q is answered %+v", form, answer)
		}
	}
	for _, query := range []string{"", "?since=now", "?since=-1"} {
		if answer := caddytest.Do(e.t.Context(), http.MethodGet, e.Address+"/messages"+query, ""); answer.Status != http.StatusBadRequest {
			e.t.Errorf("a poll with %q is answered %+v", query, answer)
		}
	}
}

func page(e *example) {
	if page := e.get("/"); !strings.Contains(page.Body, "A chat on Jetty") {
		e.t.Errorf("the page is answered %+v", page)
	}
}

// table runs the clients by themselves, as their output is what is looked at.
func table(e *example) {
	const n = 300
	clients := exec.Command(os.Args[0], clientsCommand)
	clients.Env = append(e.Command.Env, "JETTY_CHAT_CLIENTS="+strconv.Itoa(n))
	clients.Stderr = os.Stderr
	output, err := clients.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		e.t.Fatal(err)
	}
	defer clients.Wait()
	defer clients.Process.Kill()

	var text strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "The clients go on") {
		text.WriteString(lines.Text() + "\n")
	}
	for _, want := range []string{
		`(?m)^before +0 +0 +0\.00 +\d+ MB +\d+ MB$`,
		`(?m)^through parker +300 +0 +0\.00 +\d+ MB +\d+ MB( +[\d,]+ ms){3}$`,
		`(?m)^around parker +0 +[1-9]\d* +\d\.\d\d +\d+ MB +\d+ MB( +[\d,]+ ms){3}$`,
	} {
		if !regexp.MustCompile(want).MatchString(text.String()) {
			e.t.Errorf("the table has no line %s:\n%s", want, &text)
		}
	}
	e.awaitHeld(n)
}

func TestAnInterruptEndsAll(t *testing.T) {
	const clients = 50
	e := start(t, clients)
	e.awaitHeld(clients)
	e.Interrupt()
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for setting, want := range map[string]string{
		"PATH=":                         "install default-jdk-headless",
		"JETTY_CHAT_CLIENTS=many":       "must be a number",
		"JETTY_CHAT_CLIENTS=2000000000": "ulimit -n",
	} {
		if complaints := runtest.Complaints(t, ports, setting); !strings.Contains(complaints, want) {
			t.Errorf("with %s it complains: %s", setting, complaints)
		}
	}
}
