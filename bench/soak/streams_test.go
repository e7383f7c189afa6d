package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// listenMessages hears messages on a stream, from the last event ID on. Messages
// that came without one, as a replay before them had failed so far, come again.
func (r *reader) listenMessages(ctx context.Context) error {
	answer, err := r.ask(ctx, "", "Accept: text/event-stream", "Last-Event-ID: "+r.at)
	if err != nil {
		return err
	}
	r.last = r.certain
	return r.hear(ctx, answer, func(data string) error {
		number, err := r.topic.number(data)
		if err != nil {
			return err
		}
		if number != r.last+1 {
			return fmt.Errorf("heard item %d after %d", number, r.last)
		}
		if r.last = number; number <= r.known {
			return nil
		}
		return r.heard(data)
	})
}

// listenAnswers hears what the backend answers, as often as it changes: each time
// all items behind those that were known when the stream began.
func (r *reader) listenAnswers(ctx context.Context) error {
	since := r.known
	header := []string{"Accept: text/event-stream"}
	if rand.N(2) == 0 {
		header = append(header, "Last-Event-ID: "+r.at)
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	answer, err := r.ask(ctx, fmt.Sprint("?since=", since), header...)
	if err != nil {
		return err
	}
	return r.hear(ctx, answer, func(data string) error {
		var items []string
		if err := json.Unmarshal([]byte(data), &items); err != nil {
			return fmt.Errorf("heard %q: %w", data, err)
		}
		if len(items) > 100 {
			leave() // else they become more and more
		}
		return r.heardSince(since, items)
	})
}

// hear gives the data of each event of a stream to take, until the stream ends. Now
// and then it stops reading for a while.
func (r *reader) hear(ctx context.Context, answer *http.Response, take func(data string) error) error {
	defer answer.Body.Close()
	if mediaType := answer.Header.Get("Content-Type"); mediaType != "text/event-stream" {
		return fmt.Errorf("the stream is of %q", mediaType)
	}
	lines := bufio.NewReader(answer.Body)
	var id, data string
	for {
		line, err := lines.ReadString('\n')
		switch {
		case err == io.EOF && line == "":
			return nil
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("the stream broke off: %w", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n":
			if data != "" {
				if err := take(data); err != nil {
					return err
				}
			}
			if id != "" {
				r.at, r.certain = id, r.last
			}
			id, data = "", ""
			r.stall(ctx)
		case name == "id":
			id = value
		case name == "data":
			data += value
		case name == "event":
			return fmt.Errorf("heard an event %s after the position %q", value, r.at)
		}
	}
}

// stall has the reader not read for a while, now and then.
func (r *reader) stall(ctx context.Context) {
	if !r.soak.isBusy() || rand.N(50) > 0 {
		return
	}
	r.listen(time.Time{})
	stalled := rand.N(3 * time.Second)
	pause(ctx, stalled)
	// A sender that found no room tries again at intervals that grow with the time
	// it has waited: RFC 9293, section 3.8.6.1.
	r.listen(time.Now().Add(stalled))
}
