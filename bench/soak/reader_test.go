package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// reader hears all items of a topic, by one request after the other. It belongs to
// one goroutine, but for what the lock guards.
type reader struct {
	soak    *soak
	topic   *topic
	path    string
	header  []string
	backend bool // its requests come to the backend
	form    form
	client  *caddytest.Client

	at string // its last event ID

	// On a stream of messages, last is the number of the last item, certain that of
	// the last which at covers.
	last, certain int

	mu        sync.Mutex // guards known, latest and listening
	known     int        // the number of the last item that it has heard
	latest    time.Time  // when it heard that
	listening time.Time  // since when it has been ready to hear the next; zero: it is not
}

// form is a way to read.
type form struct {
	name    string
	streams bool

	// follow makes one request, and takes what comes of it.
	follow func(*reader, context.Context) error
}

// The forms.
var (
	answerPolls    = form{"poll", false, (*reader).poll}
	answerStreams  = form{"stream", true, (*reader).listenAnswers}
	messagePolls   = form{"poll", false, (*reader).pollMessages}
	batchPolls     = form{"batch", false, (*reader).pollBatch}
	messageStreams = form{"stream", true, (*reader).listenMessages}
)

// unavailable is an error that only a backend that restarts excuses.
type unavailable struct{ error }

// run reads until the context ends. As long as the soak is busy the reader leaves
// now and then, and comes back.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil && !r.soak.failed() {
		visit, leave := context.WithCancel(ctx)
		if r.soak.isBusy() && rand.N(4) == 0 {
			time.AfterFunc(rand.N(3*time.Second), leave)
		}
		began := time.Now()
		r.listen(began)
		err := r.form.follow(r, visit)
		r.listen(time.Time{})
		left := visit.Err() != nil
		leave()
		excuse, excused := errors.AsType[unavailable](err)
		switch {
		case err == nil || left && excused:
		case excused && r.backend && !r.soak.board.servedSince(began):
			pause(ctx, 100*time.Millisecond)
		case excused:
			r.soak.breaks("%s: %w", r, excuse.error)
		default:
			r.soak.breaks("%s: %w", r, err)
		}
		if r.soak.isBusy() && rand.N(4) == 0 {
			pause(ctx, rand.N(500*time.Millisecond))
		}
	}
}

// String names the reader, as it is to be found in Caddy's log.
func (r *reader) String() string {
	return fmt.Sprintf("a %s by %s, GET %s %v,", r.form.name, r.client.Protocol, r.path, r.header)
}

// ask sends the reader's request.
func (r *reader) ask(ctx context.Context, query string, header ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.client.URL+r.path+query, nil)
	if err != nil {
		return nil, err
	}
	for _, line := range append(header, r.header...) {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	answer, err := reconnecting{r.soak, r.client.Transport}.RoundTrip(request)
	if err != nil {
		return nil, unavailable{err}
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent {
		answer.Body.Close()
		err := fmt.Errorf("answered %s, %s", answer.Status, answer.Header.Get("Parker-Status"))
		if release := (caddytest.Answer{Header: answer.Header}).Release(); release != "none" {
			return nil, err // it was parked: nothing of a restart may be seen
		}
		return nil, unavailable{err}
	}
	if recovered := answer.Header.Get("Parker-Recovered"); recovered != "" {
		answer.Body.Close()
		return nil, fmt.Errorf("Parker-Recovered: %s, after the position %q", recovered, r.at)
	}
	return answer, nil
}

// listen notes since when the reader has been ready to hear.
func (r *reader) listen(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listening = since
}

// heard notes an item: it must be the next.
func (r *reader) heard(text string) error {
	number, err := r.topic.number(text)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if number != r.known+1 {
		return fmt.Errorf("heard item %d after %d", number, r.known)
	}
	r.known, r.latest = number, time.Now()
	r.soak.heard.Add(1)
	return nil
}

// heardSince notes the items of a list that begins behind the number given. The
// first of them may be known.
func (r *reader) heardSince(since int, items []string) error {
	for i, item := range items {
		if number, err := r.topic.number(item); err != nil {
			return err
		} else if number != since+1+i {
			return fmt.Errorf("heard item %d at place %d behind %d", number, i, since)
		}
		if since+1+i > r.known {
			if err := r.heard(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// backoff is how long after the backend is back a replay may be tried again.
const backoff = 2 * time.Second

// overdue is for how long there has been news for the reader and it has heard nothing,
// though it listens, and the last item that it has heard.
func (r *reader) overdue() (late time.Duration, known int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.topic.since(r.known + 1)
	if since.IsZero() || r.listening.IsZero() {
		return 0, r.known
	}
	for _, later := range []time.Time{r.listening, r.latest} {
		if later.After(since) {
			since = later
		}
	}
	if r.backend {
		up := r.soak.board.upSince()
		if up.IsZero() {
			return 0, r.known
		}
		if up = up.Add(backoff); up.After(since) {
			since = up
		}
	}
	return time.Since(since), r.known
}

// waits tells whether the reader has heard everything, and listens.
func (r *reader) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.listening.IsZero() && r.known == r.topic.count()
}
