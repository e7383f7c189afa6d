package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// poll asks for the items behind those that are known, as an old page does.
func (r *reader) poll(ctx context.Context) error {
	answer, err := r.ask(ctx, fmt.Sprint("?since=", r.known))
	if err != nil {
		return err
	}
	body, err := bodyOf(answer)
	if err != nil {
		return err
	}
	var items []string
	if err := json.Unmarshal(body, &items); err != nil {
		return fmt.Errorf("answered %q: %w", body, err)
	}
	return r.heardSince(r.known, items)
}

// pollMessages asks for the message behind the last event ID.
func (r *reader) pollMessages(ctx context.Context) error {
	answer, err := r.ask(ctx, "", "Last-Event-ID: "+r.at)
	if err != nil {
		return err
	}
	body, err := bodyOf(answer)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusOK && !isNothing(body) {
		if err := r.heard(string(body)); err != nil {
			return err
		}
	}
	r.goOn(answer)
	return nil
}

// pollBatch asks for all messages behind the last event ID, which it says in the
// query.
func (r *reader) pollBatch(ctx context.Context) error {
	answer, err := r.ask(ctx, "?batch=true&last_event_id="+r.at, "Accept: application/json")
	if err != nil {
		return err
	}
	body, err := bodyOf(answer)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusOK && !isNothing(body) {
		var batch []struct{ Data string }
		if err := json.Unmarshal(body, &batch); err != nil {
			return fmt.Errorf("answered %q: %w", body, err)
		}
		for _, event := range batch {
			if err := r.heard(event.Data); err != nil {
				return err
			}
		}
	}
	r.goOn(answer)
	return nil
}

// goOn takes over the position that an answer tells, if it tells one.
func (r *reader) goOn(answer *http.Response) {
	if at := answer.Header.Get("Last-Event-ID"); at != "" {
		r.at = at
	}
}

func bodyOf(answer *http.Response) ([]byte, error) {
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, unavailable{err}
	}
	return body, nil
}

// isNothing tells whether an answer is the backend's that has nothing.
func isNothing(body []byte) bool { return strings.TrimSpace(string(body)) == "[]" }
