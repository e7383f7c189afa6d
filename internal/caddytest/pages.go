package caddytest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Page is what a backend answers at one path.
type Page struct {
	Status int // 0: 200
	Header http.Header
	Body   string
}

// Pages is a backend whose pages a test changes. It looks at nothing of a request
// but its path. A page that was never put is answered with 404.
type Pages struct {
	// Address is where it listens.
	Address string

	mu    sync.Mutex // guards pages and asks
	pages map[string]Page
	asks  map[string]int
}

// NewPages starts one that runs until the test ends.
func NewPages(t testing.TB) *Pages {
	p := &Pages{pages: make(map[string]Page), asks: make(map[string]int)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Address = strings.TrimPrefix(server.URL, "http://")
	return p
}

// Put changes the page at the path.
func (p *Pages) Put(path string, page Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = page
}

// Asks counts how often the path was asked for.
func (p *Pages) Asks(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asks[path]
}

// ServeHTTP answers with a page.
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
