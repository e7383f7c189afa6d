package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// backend serves a board at two addresses, and restarts. Its pages are /rooms/<n> for
// all, /inbox with what is one user's, and /asked/<n> where there is never anything.
type backend struct {
	*load.Board
	addresses []string
	servers   []*http.Server

	mu   sync.Mutex // guards down and up
	down int        // how many of the servers do not serve
	up   time.Time  // since when all of them do
}

// open starts the servers.
func (b *backend) open(t testing.TB) {
	for _, address := range b.addresses {
		b.servers = append(b.servers, caddytest.ServeAt(t, address, b.ServeHTTP))
	}
	b.up = time.Now()
}

// close cuts all connections and stops the servers.
func (b *backend) close() {
	for _, server := range b.servers {
		server.Close()
	}
	b.servers = nil
}

// restart stops one of the servers for a while, and cuts what is under way.
func (b *backend) restart(t testing.TB, downtime time.Duration) {
	b.mu.Lock()
	b.down++
	b.mu.Unlock()
	i := rand.N(len(b.servers))
	b.servers[i].Close()
	<-time.After(downtime)
	b.servers[i] = caddytest.ServeAt(t, b.addresses[i], b.ServeHTTP)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down--; b.down == 0 {
		b.up = time.Now()
	}
}

// upSince returns since when all of its servers have served without a break, or zero
// while they do not.
func (b *backend) upSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down > 0 {
		return time.Time{}
	}
	return b.up
}

// servedSince reports whether it has served without a break from that time on.
func (b *backend) servedSince(then time.Time) bool {
	up := b.upSince()
	return !up.IsZero() && up.Before(then)
}

// ServeHTTP serves all pages.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/inbox" {
		w.Header().Set("Vary", "X-User")
	}
	b.Board.ServeHTTP(w, r)
}

// nameOf returns the topic of a request: a path, or the user. There are several ways to
// say who that is.
func nameOf(r *http.Request) string {
	if r.URL.Path != "/inbox" {
		return strings.TrimPrefix(r.URL.Path, "/")
	}
	if cookie, err := r.Cookie("user"); err == nil {
		return cookie.Value
	}
	if user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "User "); ok {
		return user
	}
	return r.Header.Get("X-User")
}

// asUser returns a header line by which the user says who it is.
func asUser(i int, name string) string {
	return fmt.Sprintf([]string{"Cookie: user=%s", "Authorization: User %s", "X-User: %s"}[i%3], name)
}
