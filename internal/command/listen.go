package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/eventstream"
)

// stream prints the events of an event stream until it ends.
func (t *tail) stream(ctx context.Context) error {
	reply, err := t.ask(ctx, http.Header{"Accept": {eventstream.MediaType}, "Cache-Control": {"no-store"}})
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	mediaType, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	switch {
	case reply.StatusCode == http.StatusNoContent:
		return errEnd // WHATWG HTML, section 9.2.3
	case reply.StatusCode != http.StatusOK:
		return refusal{reply.StatusCode, reply.Status}
	case mediaType != eventstream.MediaType:
		why := fmt.Sprintf("with %q, which is not an event stream; try --poll", mediaType)
		return refusal{reply.StatusCode, why}
	}
	t.connected, t.failures = true, 0
	events := eventstream.NewReader(reply.Body)
	events.LastID, events.Retry = t.position, t.retry
	for {
		event, err := events.Next()
		if err == nil {
			if err := t.print(event); err != nil {
				return err
			}
		}
		t.position, t.retry = events.LastID, events.Retry
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// maxAnswer is the maximum size of the answer to a poll, in bytes.
const maxAnswer = 64 << 20

// pace is the shortest time between two polls, unless the answer was a message.
const pace = time.Second

// validator holds the validator fields of an answer (RFC 9110, section 8.8).
type validator struct{ entityTag, modified string }

// poll polls the URL and prints each answer that is news, until there is an error or
// ctx is canceled.
func (t *tail) poll(ctx context.Context) error {
	for {
		begin := time.Now()
		message, err := t.pollOnce(ctx)
		if err != nil {
			return err
		}
		t.connected, t.failures = true, 0
		if message {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pace - time.Since(begin)):
		}
	}
}

// pollOnce polls the URL once, and reports whether the answer was a message.
func (t *tail) pollOnce(ctx context.Context) (message bool, err error) {
	header := http.Header{"Cache-Control": {"no-store"}}
	if t.validator.entityTag != "" {
		header.Set("If-None-Match", t.validator.entityTag)
	}
	if t.validator.modified != "" {
		header.Set("If-Modified-Since", t.validator.modified)
	}
	reply, err := t.ask(ctx, header)
	if err != nil {
		return false, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(http.MaxBytesReader(nil, reply.Body, maxAnswer))
	if err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if reply.StatusCode != http.StatusNotModified && reply.StatusCode/100 != 2 {
		return false, refusal{reply.StatusCode, reply.Status}
	}
	return t.takeAnswer(reply.Header, reply.StatusCode, body)
}

// takeAnswer prints an answer if it is news, and reports whether it was a message.
func (t *tail) takeAnswer(header http.Header, status int, body []byte) (message bool, err error) {
	position := header.Get("Last-Event-ID")
	lost := header.Get("Parker-Recovered") == "false"
	message = position != "" && !lost && len(body) > 0
	switch {
	case message:
		err = t.print(eventstream.Event{ID: position, Data: body})
	case lost:
		err = t.print(eventstream.Event{ID: position, Type: "parker.reset"})
	}
	if err != nil {
		return false, err
	}
	if position != "" {
		t.position = position
	}
	if message || len(body) == 0 || status == http.StatusNotModified {
		return message, nil
	}
	t.validator = validator{header.Get("ETag"), header.Get("Last-Modified")}
	if bytes.Equal(body, t.last) || isNothingNew(header) {
		return false, nil
	}
	t.last = body
	return false, t.print(eventstream.Event{Data: body})
}

// isNothingNew reports whether the Parker-Status of an answer means that it is a
// nothing-new answer.
func isNothingNew(header http.Header) bool {
	switch answer.ReleaseOf(header) {
	case answer.Timeout, answer.Full, answer.Stop, answer.Error:
		return true
	}
	return false
}
