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

// Legacy is a backend that knows only plain polling: GET returns the messages after
// ?since= as a JSON array, and POST adds one and redirects.
type Legacy struct {
	// Address is the host and port of the backend.
	Address string

	// Asks counts the polls that the backend received.
	Asks atomic.Int32

	mu       sync.Mutex // guards messages
	messages []string
}

// NewLegacy starts a Legacy that runs until the test ends.
func NewLegacy(t testing.TB) *Legacy {
	b := new(Legacy)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.Address = strings.TrimPrefix(server.URL, "http://")
	return b
}

// Serve runs a backend with the handler until the test ends, and returns its address.
func Serve(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// ServeHTTP serves the only page of the backend.
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
