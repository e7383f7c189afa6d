package caddytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Legacy is a backend that knows plain polling only: GET answers the messages
// behind ?since= as a JSON array, POST adds one and redirects.
type Legacy struct {
	// Address is where it listens.
	Address string

	// Asks counts the polls that it has seen.
	Asks atomic.Int32

	mu       sync.Mutex // guards messages
	messages []string
}

// NewLegacy starts one that runs until the test ends.
func NewLegacy(t testing.TB) *Legacy {
	b := new(Legacy)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.Address = strings.TrimPrefix(server.URL, "http://")
	return b
}

// Serve starts a backend of any kind, until the test ends, and returns where it
// listens.
func Serve(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// ServeHTTP is the backend's one page.
func (b *Legacy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		text, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		b.messages = append(b.messages, string(text))
		b.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	b.Asks.Add(1)
	var since int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	b.mu.Lock()
	news := append([]string{}, b.messages[min(since, len(b.messages)):]...)
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Legacy", "yes")
	text, _ := json.Marshal(news)
	w.Write(text)
}
