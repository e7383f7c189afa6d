//go:build !race

package clients

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// state is what a page polls.
type state struct {
	Version int      `json:"version"`
	Queue   []string `json:"queue"`
}

// answer answers a poll. It is nil for a backend that says nothing about caching.
type answer func(w http.ResponseWriter, r *http.Request, s state)

func plainly(w http.ResponseWriter, _ *http.Request, s state) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(s)
}

// asSession answers as PHP does in a session.
func asSession(w http.ResponseWriter, r *http.Request, s state) {
	w.Header().Set("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")
	w.Header().Set("Cache-Control", "no-store, no-cache, must-revalidate")
	w.Header().Set("Pragma", "no-cache")
	plainly(w, r, s)
}

func withETag(w http.ResponseWriter, r *http.Request, s state) {
	tag := strconv.Quote(strconv.Itoa(s.Version))
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	plainly(w, r, s)
}

func withClock(w http.ResponseWriter, _ *http.Request, s state) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"clock": time.Now().UnixMilli(), "version": s.Version, "queue": s.Queue})
}

func asRPC(w http.ResponseWriter, r *http.Request, s state) {
	var call struct {
		ID int `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": call.ID, "result": s})
}

// queues is the backend of all pages. Each visit has a folder of its own with the page,
// the state that it polls, and the target of its button, which changes the state.
type queues struct {
	address string

	mu      sync.Mutex // guards folders and the queues
	folders map[string]*queue
}

type queue struct {
	page    page
	version int
	polls   int
}

func newQueues(t *testing.T) *queues {
	q := &queues{folders: make(map[string]*queue)}
	q.address = caddytest.Serve(t, q.ServeHTTP)
	return q
}

// add makes a folder for a page.
func (q *queues) add(folder string, page page) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.folders[folder] = &queue{page: page, version: 1}
}

// in returns the version of the state in a folder, and how many polls asked for it.
func (q *queues) in(folder string) (version, polls int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.folders[folder].version, q.folders[folder].polls
}

var libraries = map[string]string{
	"/shown.js":   "testdata/pages/shown.js",
	"/jquery1.js": "testdata/node/node_modules/jquery1/dist/jquery.js",
	"/jquery3.js": "testdata/node/node_modules/jquery/dist/jquery.js",
	"/axios.js":   "testdata/node/node_modules/axios/dist/axios.js",
}

func (q *queues) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if file, ok := libraries[r.URL.Path]; ok {
		http.ServeFile(w, r, file)
		return
	}
	cut := strings.LastIndex(r.URL.Path, "/")
	folder, name := r.URL.Path[:cut], r.URL.Path[cut+1:]
	q.mu.Lock()
	queue, ok := q.folders[folder]
	if !ok {
		q.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	switch name {
	case "state":
		queue.polls++
	case "click":
		queue.version++
	}
	page, version := queue.page, queue.version
	q.mu.Unlock()
	page.serve(w, r, name, version)
}

func (p page) serve(w http.ResponseWriter, r *http.Request, name string, version int) {
	s := state{Version: version, Queue: []string{fmt.Sprint("job ", version), fmt.Sprint("job ", version+1)}}
	switch {
	case name == "click":
		plainly(w, r, s)
	case name == "other":
		beginSession(w, r)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Another page</title>")
	case name == "" || p.passes:
		p.serveDocument(w, r, s)
	case p.answer != nil:
		p.answer(w, r, s)
	default:
		plainly(w, r, s)
	}
}

// beginSession begins a session, if there is none.
func beginSession(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie("session"); err != nil {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: strings.ToLower(rand.Text()), Path: "/"})
	}
}

func (p page) serveDocument(w http.ResponseWriter, r *http.Request, s state) {
	beginSession(w, r)
	file := filepath.Join("testdata", "pages", p.file+".html")
	if !p.passes {
		http.ServeFile(w, r, file)
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	template.Must(template.New("page").Parse(string(text))).Execute(w, s)
}
