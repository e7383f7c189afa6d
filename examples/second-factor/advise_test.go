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
		logins := make([]atomic.Pointer[login], 2*len(users)) // each user has two pages, which wait for a decision
		told := make([]atomic.Bool, len(users))               // the phone shows it
		poll := func(ctx context.Context, page int) {
			user := page / 3
			if page%3 == 2 { // the phone
				if !told[user].Load() {
					answer := caddytest.Do(ctx, http.MethodGet, address+"/login?userName="+users[user], "", fmt.Sprint("User-Agent: phone ", page))
					told[user].Store(answer.Status == http.StatusOK)
				}
				return
			}
			mine := &logins[2*user+page%3]
			waiting := mine.Load()
			if waiting == nil {
				return
			}
			answer := caddytest.Do(ctx, http.MethodGet, address+"/authentication?userName="+users[user], "", "Cookie: "+waiting.cookie, fmt.Sprint("User-Agent: page ", page))
			if answer.Status == http.StatusOK || answer.Status == http.StatusForbidden { // it is decided, or over
				mine.CompareAndSwap(waiting, nil)
			}
		}
		// At each user's turn, a page begins a login, the other page ends it with another one,
		// and the phone decides on that.
		runtest.Visit(t, 3*len(users), 250*time.Millisecond, poll, 18, 700*time.Millisecond, func(number int) {
			user := number / 3 % len(users)
			if number%3 < 2 {
				logins[2*user+number%3].Store(e.begin(users[user]))
				return
			}
			e.decide(users[user], logins[2*user+1].Load().number, "approved")
			told[user].Store(false)
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	e := start(t)
	for name, test := range map[string]func(*example){
		"the page is let in when the phone approves":             approved,
		"the page is told when the phone denies":                 denied,
		"the phone is told of a login at once":                   phone,
		"who has not begun the login is refused at once":         stranger,
		"another login of the same name ends the first":          replaced,
		"a phone cannot decide on a number that it does not see": otherNumber,
	} {
		t.Run(name, func(t *testing.T) { test(&example{e.Example, t}) })
	}
}
