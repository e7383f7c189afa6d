package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{
	Site: "NODES_PORT", Backend: "NODES_BACKEND_PORT", Hook: "NODES_A_HOOK_PORT",
	Others: []string{"NODES_A_PORT", "NODES_B_PORT", "NODES_B_HOOK_PORT", "NODES_REDIS_PORT"},
}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T

	// nodes and hooks are the addresses of each node and of its hook.
	nodes, hooks map[string]string
}

func start(t *testing.T) *example {
	t.Helper()
	caddytest.Need(t, "Python is missing: install python3.", "python3")
	caddytest.Need(t, "Redis is missing: install redis-server.", redisServer)
	e := runtest.Start(t, ports)
	local := func(port string) string { return "http://127.0.0.1:" + port }
	return &example{
		Example: e,
		t:       t,
		nodes:   map[string]string{"A": local(e.OtherPorts["NODES_A_PORT"]), "B": local(e.OtherPorts["NODES_B_PORT"])},
		hooks:   map[string]string{"A": local(e.HookPort), "B": local(e.OtherPorts["NODES_B_HOOK_PORT"])},
	}
}

// ordersAfter is the URL of the orders behind a number, at a node or the balancer.
func ordersAfter(address string, number int) string {
	return address + "/orders?after=" + strconv.Itoa(number)
}

// order is an attempt at one. It is 0 if it is not known whether it was taken.
func (e *example) order(address, text string) (number int) {
	form := url.Values{"text": {text}}.Encode()
	answer := caddytest.Do(e.t.Context(), http.MethodPost, address+"/orders", form, "Content-Type: application/x-www-form-urlencoded")
	var taken order
	if answer.Status == http.StatusCreated {
		json.Unmarshal([]byte(answer.Body), &taken)
	}
	return taken.Number
}

func (e *example) mustOrder(address, text string) (number int) {
	e.t.Helper()
	number = e.order(address, text)
	if number == 0 {
		e.t.Fatalf("%s is not taken", text)
	}
	return number
}

// order is one as the backend tells it.
type order struct {
	Number int
	Text   string
}

// orders are those in an answer or an event.
func (e *example) orders(body string) (orders []order) {
	e.t.Helper()
	if err := json.Unmarshal([]byte(body), &orders); err != nil {
		e.t.Errorf("%s is no list of orders: %v", body, err)
	}
	return orders
}

// numbers are those of the orders in an answer or an event.
func (e *example) numbers(body string) (numbers []int) {
	e.t.Helper()
	for _, o := range e.orders(body) {
		numbers = append(numbers, o.Number)
	}
	return numbers
}

// processes are those that run and those that do not, by their names.
func (e *example) processes() map[string]state {
	answer := caddytest.Do(e.t.Context(), http.MethodGet, e.Address+"/processes", "")
	var report struct{ Processes []state }
	if err := json.Unmarshal([]byte(answer.Body), &report); err != nil {
		e.t.Errorf("the processes are answered %+v", answer)
	}
	states := make(map[string]state)
	for _, process := range report.Processes {
		states[process.Name] = process
	}
	return states
}

func (e *example) kill(name string) {
	e.t.Helper()
	if answer := e.tryToKill(name); answer.Status != http.StatusNoContent {
		e.t.Fatalf("killing %s is answered %+v", name, answer)
	}
	runtest.Eventually(e.t, name+" is gone", func() bool { return !e.processes()[name].Up })
}

// tryToKill kills a process as the page does, which may say where it is from.
func (e *example) tryToKill(name string, header ...string) caddytest.Answer {
	return caddytest.Do(e.t.Context(), http.MethodPost, e.Address+"/processes/"+name+"/kill", "", header...)
}

// answered fails the test unless a poll brings just this order, from the node.
func (e *example) answered(poll <-chan caddytest.Answer, number int, node string) {
	e.t.Helper()
	answer := runtest.Within(e.t, "the poll", poll)
	if got := fmt.Sprint(e.numbers(answer.Body)); got != fmt.Sprint([]int{number}) || answer.Header.Get("X-Node") != node {
		e.t.Errorf("a poll is answered %+v, want order %d from %s", answer, number, node)
	}
}

func TestWhatIsOrderedAtOneNodeReleasesAPollAtTheOther(t *testing.T) {
	e := start(t)
	for written, waits := range map[string]string{"A": "B", "B": "A"} {
		last := e.mustOrder(e.nodes["A"], "soup")
		poll := caddytest.Get(t.Context(), ordersAfter(e.nodes[waits], last))
		caddytest.AwaitWaiting(t, e.hooks[waits]+"/orders", 1)
		e.answered(poll, e.mustOrder(e.nodes[written], "salad"), waits)
	}
}

func TestTheBalancerUsesBothNodes(t *testing.T) {
	e := start(t)
	e.mustOrder(e.Address, "soup")
	seen := make(map[string]bool)
	runtest.Eventually(t, "both nodes answer", func() bool {
		seen[caddytest.Do(t.Context(), http.MethodGet, ordersAfter(e.Address, 0), "").Header.Get("X-Node")] = true
		return seen["A"] && seen["B"]
	})
}

func TestPollsAtANodeThatDiesWaitAtTheOther(t *testing.T) {
	e := start(t)
	const polls = 12
	var waiting []<-chan caddytest.Answer
	for range polls {
		waiting = append(waiting, caddytest.Get(t.Context(), ordersAfter(e.Address, 0)))
	}
	runtest.Eventually(t, "they wait at both", func() bool {
		now := e.processes()
		return now["A"].Polls > 0 && now["B"].Polls > 0 && now["A"].Polls+now["B"].Polls == polls
	})
	e.kill("A")
	runtest.Eventually(t, "they wait at B", func() bool { return e.processes()["B"].Polls == polls })
	number := e.mustOrder(e.Address, "soup")
	for _, poll := range waiting {
		e.answered(poll, number, "B")
	}
}

func TestAStreamAtANodeThatDiesGoesOnAtTheOther(t *testing.T) {
	e := start(t)
	first := e.mustOrder(e.Address, "soup")
	s := caddytest.Listen(t, ordersAfter(e.Address, 0))
	heard := s.Next(t)
	missed := e.mustOrder(e.Address, "salad")
	s.Next(t)
	node := s.Header.Get("X-Node")
	other := map[string]string{"A": "B", "B": "A"}[node]
	e.kill(node)
	s.Rest(t)
	// It was heard, but the client comes back with an earlier position.
	again := caddytest.Listen(t, ordersAfter(e.Address, first), "Last-Event-ID: "+heard.ID)
	if event := again.Next(t); fmt.Sprint(e.numbers(event.Data)) != fmt.Sprint([]int{missed}) || again.Header.Get("X-Node") != other {
		t.Errorf("heard %+v from %s, want order %d from %s", event, again.Header.Get("X-Node"), missed, other)
	}
	number := e.mustOrder(e.Address, "tart")
	if event := again.Next(t); fmt.Sprint(e.numbers(event.Data)) != fmt.Sprint([]int{missed, number}) {
		t.Errorf("heard %+v, want orders %d and %d", event, missed, number)
	}
}

func TestWhatIsOrderedWhileRedisIsAwayIsHeardWhenItIsBack(t *testing.T) {
	e := start(t)
	poll := caddytest.Get(t.Context(), ordersAfter(e.nodes["B"], 0))
	caddytest.AwaitWaiting(t, e.hooks["B"]+"/orders", 1)
	e.kill("Redis")
	here := caddytest.Get(t.Context(), ordersAfter(e.nodes["A"], 0))
	caddytest.AwaitWaiting(t, e.hooks["A"]+"/orders", 1)
	number := e.mustOrder(e.nodes["A"], "soup")
	e.answered(here, number, "A")
	if now := e.processes(); now["Redis"].Up || now["B"].Polls != 1 {
		t.Errorf("before Redis is back there are %+v", now)
	}
	e.answered(poll, number, "B")
}

func TestWhatTheBackendRefusesIsRefused(t *testing.T) {
	e := start(t)
	for _, after := range []string{"x", "-1"} {
		if answer := caddytest.Do(t.Context(), http.MethodGet, e.Address+"/orders?after="+after, ""); answer.Status != http.StatusBadRequest {
			t.Errorf("a poll for what came after %s is answered %+v", after, answer)
		}
	}
	for _, text := range []string{"", " ", strings.Repeat("x", 201), strings.Repeat("x", 20_000)} {
		if number := e.order(e.Address, text); number != 0 {
			t.Errorf("%.20q is order %d", text, number)
		}
	}
}

func TestThePageIsServed(t *testing.T) {
	e := start(t)
	if page := caddytest.Do(t.Context(), http.MethodGet, e.Address+"/", ""); !strings.Contains(page.Body, "Screen 1: long-poll") {
		t.Errorf("the page is answered %+v", page)
	}
}

func TestThePageAloneMayKill(t *testing.T) {
	e := start(t)
	for origin, want := range map[string]int{"http://elsewhere.example": http.StatusForbidden, e.Address: http.StatusNoContent} {
		if answer := e.tryToKill("A", "Origin: "+origin); answer.Status != want {
			t.Errorf("%s has A killed and is answered %+v, want %d", origin, answer, want)
		}
	}
}

func TestAnInterruptEndsAllAtOnce(t *testing.T) {
	e := start(t)
	poll := caddytest.Get(t.Context(), ordersAfter(e.Address, 0))
	runtest.Eventually(t, "the poll is held", func() bool {
		now := e.processes()
		return now["A"].Polls+now["B"].Polls == 1
	})
	s := caddytest.Listen(t, ordersAfter(e.Address, 0))
	e.Interrupt()
	if answer := runtest.Within(t, "the held poll", poll); answer.Body != "[]" || answer.Release() != "stop" {
		t.Errorf("the held poll is answered %+v", answer)
	}
	if rest, err := s.Rest(t); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %v, %v", rest, err)
	}
}

func TestAllEndWhereTheExampleIsKilled(t *testing.T) {
	e := start(t)
	if err := e.Command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	e.BackendEnds()
	for variable, port := range e.OtherPorts {
		runtest.Eventually(t, "nobody listens at "+variable, func() bool {
			connection, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				connection.Close()
			}
			return err != nil
		})
	}
}

func TestWithoutPythonOrRedisItSaysWhatToInstall(t *testing.T) {
	if complaints := runtest.Complaints(t, ports, "PATH="); !strings.Contains(complaints, "install python3") || !strings.Contains(complaints, "install redis-server") {
		t.Errorf("it complains: %s", complaints)
	}
	programs := t.TempDir()
	if err := os.Symlink(caddytest.Need(t, "Python is missing: install python3.", "python3"), filepath.Join(programs, "python3")); err != nil {
		t.Fatal(err)
	}
	if complaints := runtest.Complaints(t, ports, "PATH="+programs); !strings.Contains(complaints, "install redis-server") || strings.Contains(complaints, "python") {
		t.Errorf("it complains: %s", complaints)
	}
}
