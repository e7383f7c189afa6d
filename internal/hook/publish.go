package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-parker/parker/brokers"
)

// published is the answer to a publish.
type published struct {
	Channel   string `json:"channel"`
	Position  string `json:"position"`
	Released  int    `json:"released"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// publish makes the request's body a message on its channel. Without a body it
// only wakes those who wait.
func (h *Hook) publish(w http.ResponseWriter, r *http.Request, query url.Values) *problem {
	publication, refusal := h.readPublication(w, r, query)
	if refusal != nil {
		return refusal
	}
	// Many applications send, close and do not wait for the answer. What has
	// arrived whole is published all the same.
	ctx := context.WithoutCancel(r.Context())
	came, err := h.board.Publish(ctx, publication)
	if err != nil {
		return refuse(http.StatusServiceUnavailable, "The broker did not take the event.")
	}
	writeJSON(w, http.StatusOK, "application/json", published{
		Channel:   publication.Channel,
		Position:  came.Position.String(),
		Released:  came.Released,
		Duplicate: came.Duplicate,
	})
	return nil
}

// readPublication reads what is cheap to refuse first.
func (h *Hook) readPublication(w http.ResponseWriter, r *http.Request, query url.Values) (brokers.Publication, *problem) {
	channel, refusal := channelOf(r, query)
	if refusal != nil {
		return brokers.Publication{}, refusal
	}
	fields, refusal := readFields(r.Header)
	if refusal != nil {
		return brokers.Publication{}, refusal
	}
	message, refusal := h.readMessage(w, r)
	switch {
	case refusal != nil:
		return brokers.Publication{}, refusal
	case message != nil:
		message.Type = fields.event
	case fields.event != "":
		return brokers.Publication{}, refuse(http.StatusBadRequest, eventField+" names a message, and the request has no body.")
	}
	return brokers.Publication{Channel: channel, Message: message, ID: fields.id, Lifetime: fields.lifetime}, nil
}

// readMessage is nil where the request has no body.
func (h *Hook) readMessage(w http.ResponseWriter, r *http.Request) (*brokers.Message, *problem) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("A message has at most %d bytes.", h.maxMessage))
	if r.ContentLength > h.maxMessage {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxMessage))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body did not arrive whole.")
	}
	if len(body) == 0 {
		return nil, nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		// A message does not say its coding, so those who get it could not undo it.
		// The answer says what is accepted (RFC 9110, section 15.5.16).
		w.Header().Set("Accept-Encoding", "identity")
		return nil, refuse(http.StatusUnsupportedMediaType, "A message is published without a content coding.")
	}
	contentType, ok := contentTypeOf(r.Header.Get("Content-Type"), body)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "The Content-Type is not a media type.")
	}
	return &brokers.Message{Body: body, ContentType: contentType}, nil
}

// contentTypeOf is the content type of a message: the one declared, or what the
// body looks like. It is sent to clients as it stands, so nothing but a media
// type in printable ASCII passes (RFC 9110, sections 5.5 and 8.3.1).
func contentTypeOf(declared string, body []byte) (contentType string, ok bool) {
	if declared != "" {
		mediaType, _, err := mime.ParseMediaType(declared)
		if err != nil || !strings.Contains(mediaType, "/") || strings.ContainsFunc(declared, notPrintable) {
			return "", false
		}
		// curl -d and HTTP libraries say this of any body that they are given no
		// type for, and no client waits for a form.
		if mediaType != "application/x-www-form-urlencoded" {
			return declared, true
		}
	}
	if json.Valid(body) {
		return "application/json", true
	}
	return "text/plain; charset=utf-8", true
}

func notPrintable(r rune) bool {
	return r < ' ' || r > '~'
}
