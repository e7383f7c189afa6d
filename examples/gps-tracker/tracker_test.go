package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { runtest.Main(m, main) }

var ports = runtest.Ports{Site: "TRACKER_PORT", Backend: "TRACKER_PYTHON_PORT", Hook: "TRACKER_HOOK_PORT"}

// example is the example, and what a test does with it.
type example struct {
	*runtest.Example
	t *testing.T
}

func start(t *testing.T) *example {
	t.Helper()
	caddytest.Need(t, "Python is missing: install python3.", "python3")
	return &example{runtest.Start(t, ports), t}
}

func (e *example) get(path string, header ...string) caddytest.Answer {
	e.t.Helper()
	answer := caddytest.Do(e.t.Context(), http.MethodGet, e.Address+path, "", header...)
	if answer.Err != nil || answer.Status != http.StatusOK {
		e.t.Fatalf("%s is answered %+v", path, answer)
	}
	return answer
}

// number is that of the position in an answer or an event. It is 0 where there is
// none, as nothing has moved.
func (e *example) number(body string) int {
	e.t.Helper()
	var position struct {
		Number              int
		Latitude, Longitude float64
	}
	if err := json.Unmarshal([]byte(body), &position); err != nil {
		e.t.Fatalf("%s is no position: %v", body, err)
	}
	if position.Number != 0 && (position.Latitude == 0 || position.Longitude == 0) {
		e.t.Errorf("%s is nowhere", body)
	}
	return position.Number
}

// position is where events stand, as any answer with the numbers tells.
func (e *example) position() string {
	return e.get("/stats").Header.Get("Parker-Position")
}

// moves returns once there were at least two positions more, and where events
// stand then.
func (e *example) moves() (position string) {
	for range 2 {
		before := e.position()
		runtest.Eventually(e.t, "it moves", func() bool {
			position = e.position()
			return position != before
		})
	}
	return position
}

// asked is how often the backend was asked for the position.
func (e *example) asked() int {
	var stats struct{ Asked int }
	if err := json.Unmarshal([]byte(e.get("/stats").Body), &stats); err != nil {
		e.t.Fatal(err)
	}
	return stats.Asked
}

// follows fails the test unless the numbers are one after the other.
func (e *example) follows(numbers ...int) {
	e.t.Helper()
	for i, number := range numbers {
		if want := numbers[0] + i; number != want || number == 0 {
			e.t.Errorf("the positions are %d, want each one after the other", numbers)
			return
		}
	}
}

func TestAPollGetsThePresentPositionOrNothingNew(t *testing.T) {
	e := start(t)
	first := e.number(e.get("/position").Body)
	runtest.Eventually(t, "a poll has a later position", func() bool {
		return e.number(e.get("/position?since="+strconv.Itoa(first)).Body) > first
	})
	runtest.Eventually(t, "a poll has nothing new", func() bool {
		present := e.number(e.get("/position").Body)
		return e.get("/position?since="+strconv.Itoa(present)).Body == "{}"
	})
}

func TestALongPollGetsEachPosition(t *testing.T) {
	e := start(t)
	answer := e.get("/live")
	first := e.number(answer.Body)
	if answer.Release() != "message" {
		t.Errorf("the first is answered %+v", answer)
	}
	answer = e.get("/live", "Last-Event-ID: "+answer.Header.Get("Last-Event-ID"))
	second := e.number(answer.Body)
	e.moves()
	answer = e.get("/live", "Last-Event-ID: "+answer.Header.Get("Last-Event-ID"))
	if answer.Release() != "history" {
		t.Errorf("what was missed is answered %+v", answer)
	}
	e.follows(first, second, e.number(answer.Body))
	if asked := e.asked(); asked != 0 {
		t.Errorf("the backend was asked %d times, want 0", asked)
	}
}

func TestAStreamGetsEachPositionAlsoThoseThatItMissed(t *testing.T) {
	e := start(t)
	s := caddytest.Listen(t, e.Address+"/live")
	first, second := s.Next(t), s.Next(t)
	s.Leave()
	e.moves()
	s = caddytest.Listen(t, e.Address+"/live", "Last-Event-ID: "+second.ID)
	numbers := []int{e.number(first.Data), e.number(second.Data)}
	for range 4 {
		numbers = append(numbers, e.number(s.Next(t).Data))
	}
	e.follows(numbers...)
	if asked := e.asked(); asked != 0 {
		t.Errorf("the backend was asked %d times, want 0", asked)
	}
}

func TestAPiggybackedAnswerTellsWhatCanBeFetchedAtOnce(t *testing.T) {
	e := start(t)
	known := e.position()
	told := e.moves()
	answer := e.get("/live?batch=true", "Last-Event-ID: "+known, "Accept: application/json", "Prefer: wait=0")
	var batch []struct{ ID, Data string }
	if err := json.Unmarshal([]byte(answer.Body), &batch); err != nil || len(batch) < 2 {
		t.Fatalf("what was missed is answered %+v", answer)
	}
	var numbers []int
	found := false
	for _, event := range batch {
		numbers = append(numbers, e.number(event.Data))
		found = found || event.ID == told
	}
	e.follows(numbers...)
	if !found {
		t.Errorf("position %s is not among %v", told, batch)
	}
	if asked := e.asked(); asked != 0 {
		t.Errorf("the backend was asked %d times, want 0", asked)
	}
}

func TestWhoWasAwayForTooLongGetsThePresentPosition(t *testing.T) {
	e := start(t)
	lost := caddytest.OtherEpoch(e.position())
	answer := e.get("/live", "Last-Event-ID: "+lost)
	if answer.Header.Get("Parker-Recovered") != "false" || e.number(answer.Body) == 0 {
		t.Errorf("a lost position is answered %+v", answer)
	}
	s := caddytest.Listen(t, e.Address+"/live", "Last-Event-ID: "+lost)
	if reset := s.Next(t); reset.Type != "parker.reset" {
		t.Errorf("heard %+v first", reset)
	}
	if e.number(s.Next(t).Data) == 0 {
		t.Error("the present position is not heard")
	}
	if asked := e.asked(); asked != 2 {
		t.Errorf("the backend was asked %d times, want 2", asked)
	}
}

func TestThePageIsServed(t *testing.T) {
	e := start(t)
	if page := e.get("/"); !strings.Contains(page.Body, "Piggyback") {
		t.Errorf("the page is answered %+v", page)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	e := start(t)
	s := caddytest.Listen(t, e.Address+"/live")
	e.Interrupt()
	if _, err := s.Rest(t); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestWithoutPythonItSaysWhatToInstall(t *testing.T) {
	if complaints := runtest.Complaints(t, ports, "PATH="); !strings.Contains(complaints, "install python3") {
		t.Errorf("it complains: %s", complaints)
	}
}
