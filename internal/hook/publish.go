package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/publication"
)

// Published is the answer to a publish.
type Published struct {
	Channel   string `json:"channel"`
	Position  string `json:"position"`
	Released  int    `json:"released"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Broker    string `json:"broker,omitempty"`
}

// retryAfter is how many seconds a publisher is asked to wait for the broker. A server
// that restarts is back by then, and no publisher asks it more often meanwhile.
const retryAfter = "5"

// unreachable is what is said of a broker whose server does not have an event yet.
const unreachable = "unreachable"

// Status is the answer's: an event that waits for the broker is accepted, not done
// (RFC 9110, section 15.3.3).
func (p Published) Status() int {
	if p.Broker == unreachable {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func (h *Hook) publish(w http.ResponseWriter, r *http.Request, query url.Values) *Problem {
	channel, refusal := channelOf(r, query)
	if refusal != nil {
		return refusal
	}
	came, refusal := Publish(w, r, h.board, channel, h.maxMessage)
	if refusal == nil {
		writeJSON(w, came.Status(), "application/json", came)
	}
	return refusal
}

// Publish makes the request's body a message on the channel, of at most maxMessage
// bytes. Without a body it only wakes those who wait.
func Publish(w http.ResponseWriter, r *http.Request, board Board, channel string, maxMessage int64) (Published, *Problem) {
	event, refusal := readPublication(w, r, channel, maxMessage)
	if refusal != nil {
		return Published{}, refusal
	}
	// Many applications send, close and do not wait for the answer. What has
	// arrived whole is published all the same.
	ctx := context.WithoutCancel(r.Context())
	came, err := board.Publish(ctx, event)
	if err != nil {
		w.Header().Set("Retry-After", retryAfter)
		return Published{}, refuse(http.StatusServiceUnavailable, "The broker did not take the event.")
	}
	report := Published{
		Channel:   event.Channel,
		Position:  came.Position.String(),
		Released:  came.Released,
		Duplicate: came.Duplicate,
	}
	if came.Unreachable {
		report.Broker = unreachable
	}
	return report, nil
}

// readPublication reads what is cheap to refuse first.
func readPublication(w http.ResponseWriter, r *http.Request, channel string, maxMessage int64) (brokers.Publication, *Problem) {
	fields, refusal := readFields(r.Header)
	if refusal != nil {
		return brokers.Publication{}, refusal
	}
	message, refusal := readMessage(w, r, maxMessage)
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
func readMessage(w http.ResponseWriter, r *http.Request, maxMessage int64) (*brokers.Message, *Problem) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("A message has at most %d bytes.", maxMessage))
	if r.ContentLength > maxMessage {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
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
	contentType, err := contentTypeOf(r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("The Content-Type %v.", err))
	}
	return &brokers.Message{Body: body, ContentType: contentType}, nil
}

// contentTypeOf is the content type of a message: the one declared, or what the body
// looks like.
func contentTypeOf(declared string, body []byte) (string, error) {
	contentType, err := publication.ContentType(declared, body)
	if err != nil {
		return "", err
	}
	// curl -d and HTTP libraries say that it is a form of any body that they are given
	// no type for, and no client waits for a form.
	if mediaType, _, _ := mime.ParseMediaType(contentType); mediaType == "application/x-www-form-urlencoded" {
		return publication.ContentType("", body)
	}
	return contentType, nil
}
