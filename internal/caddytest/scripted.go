package caddytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Scripted is a backend whose asks the test answers itself, one at a time.
type Scripted struct {
	// Address is the host and port of the backend.
	Address string

	asks chan *Ask
}

// NewScripted starts a Scripted that runs until the test ends.
func NewScripted(t testing.TB) *Scripted {
	s := &Scripted{asks: make(chan *Ask, 10_000)}
	ended := t.Context().Done()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := &Ask{Request: r, Body: string(body), steps: make(chan func(http.ResponseWriter))}
		s.asks <- a
		for {
			select {
			case step, ok := <-a.steps:
				if !ok {
					return
				}
				step(w)
			case <-ended:
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	s.Address = strings.TrimPrefix(server.URL, "http://")
	return s
}

// Asks returns the channel of asks that the backend receives.
func (s *Scripted) Asks() <-chan *Ask { return s.asks }

// Next returns the next ask that the backend receives.
func (s *Scripted) Next(t testing.TB) *Ask {
	t.Helper()
	select {
	case a := <-s.asks:
		return a
	case <-time.After(Patience):
		t.Fatal("the backend was not asked")
		return nil
	}
}

// Unasked checks that the backend has received no further ask so far.
func (s *Scripted) Unasked(t testing.TB) {
	t.Helper()
	select {
	case a := <-s.asks:
		t.Fatalf("the backend was asked %s %s again, with %v", a.Request.Method, a.Request.RequestURI, a.Request.Header)
	default:
	}
}

// Ask is a request to the backend that waits for its answer.
type Ask struct {
	Request *http.Request
	Body    string

	steps chan func(http.ResponseWriter)
}

// Answer sends a complete answer at once, because parker treats an answer whose end is
// delayed as news. Header lines are given as "Name: value".
func (a *Ask) Answer(status int, body string, header ...string) {
	if status != http.StatusNoContent && status != http.StatusNotModified {
		header = append(header, "Content-Length: "+strconv.Itoa(len(body)))
	}
	a.step(func(w http.ResponseWriter) {
		writeHeader(w, status, header)
		io.WriteString(w, body)
		w.(http.Flusher).Flush()
	})
	a.End()
}

// Begin sends the header of the answer.
func (a *Ask) Begin(status int, header ...string) {
	a.step(func(w http.ResponseWriter) {
		writeHeader(w, status, header)
		w.(http.Flusher).Flush()
	})
}

func writeHeader(w http.ResponseWriter, status int, header []string) {
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		w.Header().Add(name, value)
	}
	w.WriteHeader(status)
}

// Write sends a part of the body. It returns when the connection has accepted it, even
// if the other side does not read.
func (a *Ask) Write(part string) {
	a.step(func(w http.ResponseWriter) {
		io.WriteString(w, part)
		w.(http.Flusher).Flush()
	})
}

// Break aborts the answer, as a crashing backend would.
func (a *Ask) Break() {
	a.step(func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
}

// End ends the answer.
func (a *Ask) End() { close(a.steps) }

// Gone returns a channel that is closed when the request is cancelled.
func (a *Ask) Gone() <-chan struct{} { return a.Request.Context().Done() }

func (a *Ask) step(step func(http.ResponseWriter)) {
	done := make(chan struct{})
	a.steps <- func(w http.ResponseWriter) {
		defer close(done)
		step(w)
	}
	<-done
}
