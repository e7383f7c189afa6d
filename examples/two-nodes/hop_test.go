package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// whileBothDie calls do again and again, while each node is killed once and comes
// back.
func (e *example) whileBothDie(do func()) {
	e.t.Helper()
	for _, name := range []string{"A", "B"} {
		killed := make(chan caddytest.Answer, 1)
		go func() { killed <- e.tryToKill(name) }()
		isUp := func() bool {
			do()
			return e.processes()[name].Up
		}
		runtest.Eventually(e.t, name+" is gone", func() bool { return !isUp() })
		runtest.Eventually(e.t, name+" comes back", isUp)
		if answer := <-killed; answer.Status != http.StatusNoContent {
			e.t.Errorf("killing %s is answered %+v", name, answer)
		}
	}
}

// lastText ends what a client hears.
const lastText = "the last"

func TestAClientThatPollsByTheBalancerMissesNoOrder(t *testing.T) {
	e := start(t)
	heard := make(chan []order, 1)
	nodes := make(map[string]int) // how often each has answered; read when all was heard
	go func() {
		var all []order
		defer func() { heard <- all }()
		for last := (order{}); last.Text != lastText; {
			answer := caddytest.Do(t.Context(), http.MethodGet, ordersAfter(e.Address, last.Number), "")
			if answer.Err != nil || answer.Status != http.StatusOK {
				t.Errorf("a poll after %d is answered %+v", last.Number, answer)
				return
			}
			nodes[answer.Header.Get("X-Node")]++
			if news := e.orders(answer.Body); len(news) > 0 {
				all = append(all, news...)
				last = news[len(news)-1]
			}
		}
	}()
	attempts := 0
	e.whileBothDie(func() {
		attempts++
		e.order(e.Address, "order "+strconv.Itoa(attempts))
	})
	final := e.mustOrder(e.Address, lastText)
	all := runtest.Within(t, "hearing the rest", heard)
	for i, o := range all {
		if o.Number != i+1 {
			t.Fatalf("heard %d where %d was to come: %v", o.Number, i+1, all)
		}
	}
	if len(all) != final || nodes["A"] == 0 || nodes["B"] == 0 {
		t.Errorf("heard %d of %d orders, by so many answers of each node: %v", len(all), final, nodes)
	}
}

// publish has a message published at one of the hooks. One that dies meanwhile may
// have done so already: under the same ID it counts once.
func (e *example) publish(message string) (position string) {
	e.t.Helper()
	runtest.Eventually(e.t, message+" is published", func() bool {
		for _, hook := range e.hooks {
			published := caddytest.Do(e.t.Context(), http.MethodPost, hook+"/orders", message, "Parker-Id: "+message)
			var report struct{ Position string }
			if published.Err == nil && json.Unmarshal([]byte(published.Body), &report) == nil && report.Position != "" {
				position = report.Position
				return true
			}
		}
		return false
	})
	return position
}

func TestAClientThatPollsByTheBalancerGetsEachMessageOnce(t *testing.T) {
	e := start(t)
	const noOrder = 1_000_000
	position := e.publish("the first")
	var heardSoFar atomic.Int64
	heard := make(chan []string, 1)
	go func() {
		var messages []string
		defer func() { heard <- messages }()
		for len(messages) == 0 || messages[len(messages)-1] != lastText {
			answer := caddytest.Do(t.Context(), http.MethodGet, ordersAfter(e.Address, noOrder), "", "Last-Event-ID: "+position)
			if answer.Release() != "message" && answer.Release() != "history" {
				t.Errorf("a poll from %s is answered %+v", position, answer)
				return
			}
			position = answer.Header.Get("Last-Event-ID")
			messages = append(messages, answer.Body)
			heardSoFar.Add(1)
		}
	}()
	const ahead = 50 // less than history keeps
	published := 0
	e.whileBothDie(func() {
		if published-int(heardSoFar.Load()) >= ahead {
			return
		}
		e.publish(fmt.Sprint("message ", published))
		published++
	})
	e.publish(lastText)
	messages := runtest.Within(t, "hearing the rest", heard)
	for i, message := range messages {
		want := fmt.Sprint("message ", i)
		if i == published {
			want = lastText
		}
		if message != want {
			t.Fatalf("heard %q, want %q: %q", message, want, messages)
		}
	}
	if len(messages) != published+1 {
		t.Errorf("heard %d messages, want %d", len(messages), published+1)
	}
}
