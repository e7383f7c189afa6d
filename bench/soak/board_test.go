package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// board is a backend that knows plain polling only: what it has is the number of
// items of each topic. GET answers those behind ?since= as a JSON array, POST adds
// the item ?number=, if it is the next, and redirects. It listens at two addresses,
// and restarts.
type board struct {
	addresses []string
	servers   []*http.Server
	asks      atomic.Int64

	mu     sync.Mutex // guards counts, down and up
	counts map[string]int
	down   int       // how many of the servers do not serve
	up     time.Time // since when all of them do
}

func newBoard(t *testing.T) *board {
	return &board{addresses: caddytest.FreePorts(t, 2), counts: make(map[string]int)}
}

// open has it serve.
func (b *board) open(t *testing.T) {
	for _, address := range b.addresses {
		b.servers = append(b.servers, caddytest.ServeAt(t, address, b.ServeHTTP))
	}
	b.up = time.Now()
}

// close cuts all connections, and it serves no more.
func (b *board) close() {
	for _, server := range b.servers {
		server.Close()
	}
	b.servers = nil
}

// restart has one of the servers go down for a while, and cuts what is under way.
func (b *board) restart(t *testing.T, downtime time.Duration) {
	b.mu.Lock()
	b.down++
	b.mu.Unlock()
	i := rand.N(len(b.servers))
	b.servers[i].Close()
	time.Sleep(downtime)
	b.servers[i] = caddytest.ServeAt(t, b.addresses[i], b.ServeHTTP)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down--; b.down == 0 {
		b.up = time.Now()
	}
}

// upSince is since when all of its servers have served without a break; zero: they
// do not.
func (b *board) upSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down > 0 {
		return time.Time{}
	}
	return b.up
}

// servedSince tells whether it has served without a break from that time on.
func (b *board) servedSince(then time.Time) bool {
	up := b.upSince()
	return !up.IsZero() && up.Before(then)
}

// add adds an item to the topic, if it is the next.
func (b *board) add(topic string, number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number == b.counts[topic]+1 {
		b.counts[topic] = number
	}
}

// ServeHTTP is all of its pages: /rooms/<n> for all, /inbox with what is one user's,
// and /asked/<n> where there is never anything.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asks.Add(1)
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "inbox" {
		w.Header().Set("Vary", "X-User")
		name = userOf(r)
	}
	if r.Method == http.MethodPost {
		number, _ := strconv.Atoi(r.URL.Query().Get("number"))
		b.add(name, number)
		if channel := r.URL.Query().Get("announce"); channel != "" {
			w.Header().Set("Parker-Publish", channel)
		}
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	since, _ := strconv.Atoi(r.URL.Query().Get("since"))
	b.mu.Lock()
	count := b.counts[name]
	b.mu.Unlock()
	time.Sleep(rand.N(20 * time.Millisecond)) // what comes meanwhile is not in the answer
	items := []string{}
	for number := since + 1; number <= count; number++ {
		items = append(items, (&topic{name: name}).item(number))
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(items)
}

// userOf is who asks: there are several ways to say so.
func userOf(r *http.Request) string {
	if cookie, err := r.Cookie("user"); err == nil {
		return cookie.Value
	}
	if user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "User "); ok {
		return user
	}
	return r.Header.Get("X-User")
}

// asUser is a header line by which the user says who it is.
func asUser(i int, name string) string {
	return fmt.Sprintf([]string{"Cookie: user=%s", "Authorization: User %s", "X-User: %s"}[i%3], name)
}
