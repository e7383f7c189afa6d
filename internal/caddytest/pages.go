package caddytest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Page is the answer of a backend at one path.
type Page struct {
	Status int // 0 means 200
	Header http.Header
	Body   string
}

// Pages is a backend whose pages a test can change. It uses only the path of a request.
// A path without a page is answered with 404.
type Pages struct {
	// Address is the host and port of the backend.
	Address string

	mu    sync.Mutex // guards pages and asks
	pages map[string]Page
	asks  map[string]int
}

// NewPages starts a Pages that runs until the test ends.
func NewPages(t testing.TB) *Pages {
	p := &Pages{pages: make(map[string]Page), asks: make(map[string]int)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Address = strings.TrimPrefix(server.URL, "http://")
	return p
}

// Put sets the page at the path.
func (p *Pages) Put(path string, page Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = page
}

// Asks returns the number of requests for the path.
func (p *Pages) Asks(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asks[path]
}

// ServeHTTP answers with the page at the path.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asks[r.URL.Path]++
	page, ok := p.pages[r.URL.Path]
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	maps.Copy(w.Header(), page.Header)
	if page.Status != 0 {
		w.WriteHeader(page.Status)
	}
	if page.Body != "" {
		w.Write([]byte(page.Body))
	}
}
