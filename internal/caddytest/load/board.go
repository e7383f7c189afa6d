package load

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Board is a backend that knows plain polling only. GET answers with the rows of a topic
// after ?since=, as a JSON array. POST adds the next row, or the row ?number= if that is
// the next, and redirects; with ?announce= the answer publishes on that channel.
type Board struct {
	// Name returns the name of the topic that a request is for. Without it, that is the
	// path without its first slash.
	Name func(r *http.Request) string

	// Slow is the time that an answer may take. Rows that are added meanwhile are not in
	// the answer.
	Slow time.Duration

	// Asks counts the requests.
	Asks atomic.Int64

	ledger   *Ledger
	attempts sync.Map // the numbers of the requests
}

// attemptField has the number of a request: see [Client.Attempts].
const attemptField = "X-Attempt"

// NewBoard makes a board that has the rows of all topics.
func (l *Load) NewBoard() *Board {
	l.Board = &Board{ledger: &l.Ledger}
	return l.Board
}

// ServeHTTP serves all pages.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.Asks.Add(1)
	name := strings.TrimPrefix(r.URL.Path, "/")
	if b.Name != nil {
		name = b.Name(r)
	}
	b.attempts.Store(r.Header.Get(attemptField), true)
	query, all := r.URL.Query(), &b.ledger.Topic(name).Rows
	if r.Method == http.MethodPost {
		io.Copy(io.Discard, r.Body)
		if number, err := strconv.Atoi(query.Get("number")); err == nil {
			all.AddAs(number)
		} else {
			all.Done(all.Add())
		}
		if channel := query.Get("announce"); channel != "" {
			w.Header().Set("Parker-Publish", channel)
		}
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	since, _ := strconv.Atoi(query.Get("since"))
	rows := []string{}
	for number := since + 1; number <= all.Count(); number++ {
		rows = append(rows, all.Text(number))
	}
	if b.Slow > 0 {
		time.Sleep(rand.N(b.Slow))
	}
	w.Header().Set("Content-Type", "application/json")
	text, _ := json.Marshal(rows)
	w.Write(text)
}

// reached reports whether a request with a number has reached the backend.
func (b *Board) reached(r *http.Request) bool {
	attempt := r.Header.Get(attemptField)
	if b == nil || attempt == "" {
		return false
	}
	_, reached := b.attempts.Load(attempt)
	return reached
}
