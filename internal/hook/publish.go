package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/publication"
)

// Published is the answer to a publish.
type Published struct {
	Channel   string `json:"channel"`
	Position  string `json:"position,omitempty"`
	Released  int    `json:"released"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Broker    string `json:"broker,omitempty"`
}

// retryAfter is the number of seconds after which a publisher should try again if the
// broker fails. A server that restarts is usually back by then.
const retryAfter = "5"

// unreachable is the value of Broker if the broker's server does not have the event yet.
const unreachable = "unreachable"

// Status returns the status code of the answer. It is 202 if the event waits for the
// broker (RFC 9110, section 15.3.3), otherwise 200.
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

// Publish publishes the request's body as a message on the channel. Without a body the
// event has no message and only wakes the waiting requests. A body of more than
// maxMessage bytes is refused.
func Publish(w http.ResponseWriter, r *http.Request, board Board, channel string, maxMessage int64) (Published, *Problem) {
	event, refusal := readPublication(w, r, channel, maxMessage)
	if refusal != nil {
		return Published{}, refusal
	}
	// Many applications close the connection without waiting for the answer. The event
	// is published anyway.
	ctx := context.WithoutCancel(r.Context())
	came, err := board.Publish(ctx, event)
	if err != nil {
		w.Header().Set("Retry-After", retryAfter)
		return Published{}, refuse(http.StatusServiceUnavailable, "The broker did not accept the event.")
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

// readPublication reads the event from a request. It reads the header before the body,
// so that invalid fields are refused early.
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
		return brokers.Publication{}, refuse(http.StatusBadRequest, eventField+" requires a message, but the request has no body.")
	}
	return brokers.Publication{Channel: channel, Message: message, ID: fields.id, Lifetime: fields.lifetime}, nil
}

// readMessage returns the request's message, or nil if the request has no body.
func readMessage(w http.ResponseWriter, r *http.Request, maxMessage int64) (*brokers.Message, *Problem) {
	if r.ContentLength > maxMessage {
		return nil, tooLarge(maxMessage)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(maxMessage)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The body is incomplete.")
	}
	if len(body) == 0 {
		return nil, nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		// The coding of a message is not kept, so clients could not decode it. The
		// answer contains what is accepted (RFC 9110, section 15.5.16).
		w.Header().Set("Accept-Encoding", "identity")
		return nil, refuse(http.StatusUnsupportedMediaType, "A message must not have a content coding.")
	}
	contentType, err := contentTypeOf(r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("The Content-Type %v.", err))
	}
	return &brokers.Message{Body: body, ContentType: contentType}, nil
}

func tooLarge(maxMessage int64) *Problem {
	return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("The message is longer than %d bytes.", maxMessage))
}

// contentTypeOf returns the content type of a message: the declared one, or what the
// body looks like.
func contentTypeOf(declared string, body []byte) (string, error) {
	contentType, err := publication.ContentType(declared, body)
	if err != nil {
		return "", err
	}
	// curl -d and many HTTP libraries declare any body as a form unless they are given
	// another type, and no client waits for a form.
	mediaType, _, _ := strings.Cut(contentType, ";")
	if strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded") {
		return publication.ContentType("", body)
	}
	return contentType, nil
}
