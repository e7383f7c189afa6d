package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "SECOND_FACTOR_PORT", Backend: "SECOND_FACTOR_JAVA_PORT", Hook: "SECOND_FACTOR_HOOK_PORT"}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

func start(t *testing.T) *example {
	t.Helper()
	caddytest.Need(t, "A JDK is missing: install default-jdk-headless.", "javac")
	return &example{runtest.Start(t, ports), t}
}

// login is a page that has begun one.
type login struct {
	*example
	userName, number, cookie string
}

func (e *example) do(method, path string, header ...string) caddytest.Answer {
	return caddytest.Do(e.t.Context(), method, e.Address+path, "", header...)
}

// begin has a user log in.
func (e *example) begin(userName string) *login {
	e.t.Helper()
	answer := e.do(http.MethodPost, "/login?userName="+userName)
	if answer.Status != http.StatusCreated {
		e.t.Fatalf("logging in is answered %+v", answer)
	}
	cookie, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
	return &login{e, userName, e.number(answer), cookie}
}

// number is the one to compare, in the answer to the page or to the phone.
func (e *example) number(answer caddytest.Answer) string {
	e.t.Helper()
	var login struct{ Number json.Number }
	if err := json.Unmarshal([]byte(answer.Body), &login); err != nil || len(login.Number) != 2 {
		e.t.Fatalf("there is no number in %+v, %v", answer, err)
	}
	return string(login.Number)
}

// wait asks for the decision, and returns once the page is held.
func (l *login) wait() <-chan caddytest.Answer {
	l.t.Helper()
	answered := caddytest.Get(l.t.Context(), l.Address+"/authentication?userName="+l.userName, "Cookie: "+l.cookie)
	l.awaitWaiting("authentication/"+l.userName, 1)
	return answered
}

func (e *example) awaitWaiting(channel string, n int) {
	e.t.Helper()
	caddytest.AwaitWaiting(e.t, "http://127.0.0.1:"+e.HookPort+"/"+channel, n)
}

// decide is what a phone does.
func (e *example) decide(userName, number, decision string) caddytest.Answer {
	return e.do(http.MethodPost, "/authentication?userName="+userName+"&number="+number+"&decision="+decision)
}

// asked is how often the backend was asked for a decision.
func (e *example) asked() (n int) {
	e.t.Helper()
	if _, err := fmt.Sscanf(e.do(http.MethodGet, "/stats").Body, `{"asked": %d}`, &n); err != nil {
		e.t.Fatal(err)
	}
	return n
}

func (e *example) answers(held <-chan caddytest.Answer) caddytest.Answer {
	e.t.Helper()
	return runtest.Within(e.t, "the held page", held)
}

// One start of Java serves all of them. No two have a user of the same name.
func TestALoginWaitsForThePhone(t *testing.T) {
	e := start(t)
	for name, test := range map[string]func(*example){
		"the page is let in when the phone approves":               approved,
		"the page is told when the phone denies":                   denied,
		"the answer is 503 where nobody decides in time":           timeout,
		"the phone is told of a login at once":                     phone,
		"who has not begun the login is refused at once":           stranger,
		"another login of the same name ends the first":            replaced,
		"a phone cannot decide on a number that it does not see":   otherNumber,
		"of many that wait the one is answered, by the one thread": many,
		"of the hook only the count can be reached":                count,
		"the pages are served, and nothing else of the folder":     pages,
	} {
		t.Run(name, func(t *testing.T) { test(&example{e.Example, t}) })
	}
}

func approved(e *example) {
	l := e.begin("ada")
	before := e.asked()
	held := l.wait()
	if answer := e.decide("ada", l.number, "approved"); answer.Status != http.StatusOK {
		e.t.Fatalf("approving is answered %+v", answer)
	}
	answer := e.answers(held)
	if answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"decision": "approved"`) || answer.Release() != "replay" {
		e.t.Errorf("the held page is answered %+v", answer)
	}
	if n := e.asked() - before; n != 2 {
		e.t.Errorf("the backend was asked %d times, want 2", n)
	}
}

func denied(e *example) {
	l := e.begin("grace")
	held := l.wait()
	e.decide("grace", l.number, "denied")
	if answer := e.answers(held); !strings.Contains(answer.Body, `"decision": "denied"`) {
		e.t.Errorf("the held page is answered %+v", answer)
	}
}

func timeout(e *example) {
	l := e.begin("alan")
	answer := e.do(http.MethodGet, "/authentication?userName=alan", "Cookie: "+l.cookie, "Prefer: wait=1")
	if answer.Status != http.StatusServiceUnavailable || answer.Release() != "timeout" {
		e.t.Errorf("the held page is answered %+v", answer)
	}
	// It can wait on, and is let in still.
	held := l.wait()
	e.decide("alan", l.number, "approved")
	if answer := e.answers(held); answer.Status != http.StatusOK {
		e.t.Errorf("the held page is answered %+v", answer)
	}
}

func phone(e *example) {
	told := caddytest.Get(e.t.Context(), e.Address+"/login?userName=barbara")
	e.awaitWaiting("login/barbara", 1)
	l := e.begin("barbara")
	if number := e.number(e.answers(told)); number != l.number {
		e.t.Errorf("the phone shows %s, the page %s", number, l.number)
	}
}

func stranger(e *example) {
	l := e.begin("dennis")
	held := l.wait()
	for _, cookie := range []string{"", "login-dennis=x", e.begin("edsger").cookie} {
		if answer := e.do(http.MethodGet, "/authentication?userName=dennis", "Cookie: "+cookie); answer.Status != http.StatusForbidden || answer.Release() != "none" {
			e.t.Errorf("with cookie %q it is answered %+v", cookie, answer)
		}
	}
	e.decide("dennis", l.number, "approved")
	if answer := e.answers(held); answer.Status != http.StatusOK {
		e.t.Errorf("the held page is answered %+v", answer)
	}
}

func replaced(e *example) {
	held := e.begin("frances").wait()
	e.begin("frances")
	if answer := e.answers(held); answer.Status != http.StatusForbidden {
		e.t.Errorf("the held page is answered %+v", answer)
	}
}

func otherNumber(e *example) {
	l := e.begin("radia")
	held := l.wait()
	other := "10"
	if l.number == other {
		other = "11"
	}
	for _, number := range []string{other, "", "1"} {
		if answer := e.decide("radia", number, "approved"); answer.Status < 400 {
			e.t.Errorf("with number %q it is answered %+v", number, answer)
		}
	}
	e.decide("radia", l.number, "denied")
	if answer := e.answers(held); !strings.Contains(answer.Body, "denied") {
		e.t.Errorf("the held page is answered %+v", answer)
	}
}

func many(e *example) {
	const users = 30
	logins, held := make([]*login, users), make([]<-chan caddytest.Answer, users)
	for i := range users {
		logins[i] = e.begin("many" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		held[i] = logins[i].wait()
	}
	e.awaitWaiting("authentication", users)
	before := e.asked()
	e.decide(logins[7].userName, logins[7].number, "approved")
	if answer := e.answers(held[7]); answer.Status != http.StatusOK {
		e.t.Errorf("the held page is answered %+v", answer)
	}
	if n := e.asked() - before; n != 1 {
		e.t.Errorf("the backend was asked %d times for one decision, want once", n)
	}
	e.awaitWaiting("authentication", users-1)
	for i := range users {
		e.decide(logins[i].userName, logins[i].number, "denied")
		if i != 7 {
			e.answers(held[i])
		}
	}
}

func count(e *example) {
	l := e.begin("linus")
	held := l.wait()
	if answer := e.do(http.MethodGet, "/waiting?channel=login/linus"); !strings.Contains(answer.Body, `"channel":"authentication","waiting":1,`) {
		e.t.Errorf("the count is answered %+v", answer)
	}
	if answer := e.do(http.MethodPost, "/waiting"); answer.Status < 400 {
		e.t.Errorf("publishing is answered %+v", answer)
	}
	e.decide("linus", l.number, "approved")
	e.answers(held)
}

func pages(e *example) {
	for path, want := range map[string]string{"/": "Log in", "/phone?userName=ada": "Your phone"} {
		if page := e.do(http.MethodGet, path); page.Status != http.StatusOK || !strings.Contains(page.Body, want) {
			e.t.Errorf("%s is answered %+v", path, page)
		}
	}
	if file := e.do(http.MethodGet, "/Backend.java"); file.Status < 400 {
		e.t.Errorf("the source is answered %+v", file)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	e := start(t)
	held := e.begin("ada").wait()
	e.Interrupt()
	if answer := runtest.Within(t, "the held page", held); answer.Status != http.StatusNoContent || answer.Release() != "stop" {
		t.Errorf("the held page is answered %+v", answer)
	}
}

func TestWithoutAJDKItSaysWhatToInstall(t *testing.T) {
	if complaints := runtest.Complaints(t, ports, "PATH="); !strings.Contains(complaints, "install default-jdk-headless") {
		t.Errorf("it complains: %s", complaints)
	}
}
