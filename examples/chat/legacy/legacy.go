// Package legacy is a typical old chat program: it serves one request at a time, and its
// page asks every second for new messages.
package legacy

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultPort is the port of the chat unless CHAT_LEGACY_PORT is set.
const DefaultPort = "8081"

const (
	// work is the time that each request takes, as if it queried a database.
	work = 5 * time.Millisecond

	maxBody     = 16 << 10 // bytes of a request's body
	maxName     = 40       // characters
	maxText     = 1000     // characters
	maxMessages = 200      // older ones are deleted
)

//go:embed page.html
var page []byte

// Run serves the chat on loopback until serving fails. It prints the address once it
// accepts requests.
func Run() error {
	port := cmp.Or(os.Getenv("CHAT_LEGACY_PORT"), DefaultPort)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("the legacy chat cannot listen (set CHAT_LEGACY_PORT to use another port): %w", err)
	}
	fmt.Printf("The legacy chat by itself is at http://localhost:%s/chat\n", port)
	return http.Serve(listener, newChat())
}

type message struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Text string `json:"text"`
	Time int64  `json:"time"` // milliseconds since 1970
}

// chat is the whole program. The request that holds thread may use its state.
type chat struct {
	routes   http.ServeMux
	thread   chan struct{}
	messages []message
	lastID   int64
	total    int64
	recent   rate
}

func newChat() *chat {
	c := &chat{
		thread: make(chan struct{}, 1),
		// IDs start at the current time, so that pages that were open before a restart
		// see later messages.
		lastID: time.Now().UnixMilli(),
	}
	c.routes.HandleFunc("GET /chat", c.servePage)
	c.routes.HandleFunc("GET /messages", c.list)
	c.routes.HandleFunc("POST /messages", c.write)
	c.routes.HandleFunc("GET /stats", c.stats)
	return c
}

// ServeHTTP serves one request at a time, like a servlet with one thread.
func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.thread <- struct{}{}
	defer func() { <-c.thread }()
	time.Sleep(work)
	c.routes.ServeHTTP(w, r)
}

func (c *chat) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page)
}

// list answers a poll with the messages after the last one that the page has seen.
func (c *chat) list(w http.ResponseWriter, r *http.Request) {
	c.total++
	c.recent.count(time.Now().Unix())
	since, err := strconv.ParseInt(cmp.Or(r.FormValue("since"), "0"), 10, 64)
	if err != nil {
		http.Error(w, "since must be the number of a message", http.StatusBadRequest)
		return
	}
	news := []message{}
	for _, m := range c.messages {
		if m.ID > since {
			news = append(news, m)
		}
	}
	writeJSON(w, http.StatusOK, news)
}

func (c *chat) write(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, err.Error(), status)
		return
	}
	name, nameErr := field(r, "name", maxName)
	text, textErr := field(r, "text", maxText)
	if err := errors.Join(nameErr, textErr); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.lastID++
	m := message{ID: c.lastID, Name: name, Text: text, Time: time.Now().UnixMilli()}
	c.messages = append(c.messages, m)
	c.messages = c.messages[max(0, len(c.messages)-maxMessages):]
	writeJSON(w, http.StatusCreated, m)
}

// field returns a field of the form without leading and trailing white space.
func field(r *http.Request, name string, most int) (string, error) {
	value := strings.TrimSpace(strings.ToValidUTF8(r.PostForm.Get(name), "\uFFFD"))
	switch {
	case value == "":
		return "", fmt.Errorf("the %s is missing", name)
	case utf8.RuneCountInString(value) > most:
		return "", fmt.Errorf("the %s is longer than %d characters", name, most)
	}
	return value, nil
}

// stats answers with the number of polls: in total, and in each of the last 60 seconds,
// oldest first.
func (c *chat) stats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"polls":   c.total,
		"seconds": c.recent.lastMinute(time.Now().Unix()),
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}
