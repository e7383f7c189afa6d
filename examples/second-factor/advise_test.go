package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheAdviceForTheLoginServesItAsItsCaddyfileDoes(t *testing.T) {
	start(t) // skips if something is missing
	users := []string{"ada", "grace", "alan"}
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		e := &example{&runtest.Example{Address: address}, t}
		logins := make([]atomic.Pointer[login], len(users)) // that wait for a decision
		told := make([]atomic.Bool, len(users))             // the phone shows it
		poll := func(ctx context.Context, page int) {
			user := page / 2
			waiting := logins[user].Load()
			switch {
			case page%2 == 0 && waiting != nil: // the page
				answer := caddytest.Do(ctx, http.MethodGet, address+"/authentication?userName="+users[user], "", "Cookie: "+waiting.cookie, fmt.Sprint("User-Agent: page ", page))
				if answer.Status == http.StatusOK {
					logins[user].CompareAndSwap(waiting, nil)
				}
			case page%2 == 1 && !told[user].Load(): // the phone
				answer := caddytest.Do(ctx, http.MethodGet, address+"/login?userName="+users[user], "", fmt.Sprint("User-Agent: phone ", page))
				told[user].Store(answer.Status == http.StatusOK)
			}
		}
		runtest.Visit(t, 2*len(users), 250*time.Millisecond, poll, 18, 700*time.Millisecond, func(number int) {
			user := number / 2 % len(users)
			if waiting := logins[user].Load(); waiting == nil {
				logins[user].Store(e.begin(users[user]))
			} else {
				e.decide(users[user], waiting.number, "approved")
				told[user].Store(false)
			}
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	e := start(t)
	// That another login ends the first does not happen while it watches.
	for name, test := range map[string]func(*example){
		"the page is let in when the phone approves":             approved,
		"the page is told when the phone denies":                 denied,
		"the phone is told of a login at once":                   phone,
		"who has not begun the login is refused at once":         stranger,
		"a phone cannot decide on a number that it does not see": otherNumber,
	} {
		t.Run(name, func(t *testing.T) { test(&example{e.Example, t}) })
	}
}
