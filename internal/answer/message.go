package answer

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/eventstream"
)

// WriteMessage answers with the message of the first of the events. kept is the header of
// the backend's last answer. See [AllowOrigins].
func WriteMessage(w http.ResponseWriter, events []brokers.Event, kept http.Header) error {
	event := events[0]
	return write(w, event.Message.ContentType, event.Message.Body, event.Position, kept)
}

// batched is an event as on a stream. JSON has no bytes (RFC 8259), so the body is text
// here too.
type batched struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	Data  string `json:"data"`
}

// maxBatch is the maximum size of an answer with several messages, in bytes.
const maxBatch = 1_000_000

// WriteBatch answers with a JSON array of as many events as fit, at least one. The position
// of the answer is that of the last one, so that the client continues with the rest. kept is
// as for [WriteMessage].
func WriteBatch(w http.ResponseWriter, events []brokers.Event, kept http.Header) error {
	body := []byte{'['}
	var last brokers.Position
	for i, event := range events {
		one, err := json.Marshal(batchedOf(event))
		if err != nil {
			return err
		}
		if i > 0 {
			if len(body)+len(",")+len(one)+len("]") > maxBatch {
				break
			}
			body = append(body, ',')
		}
		body, last = append(body, one...), event.Position
	}
	return write(w, "application/json", append(body, ']'), last, kept)
}

func batchedOf(event brokers.Event) batched {
	return batched{
		ID:    event.Position.String(),
		Event: cmp.Or(event.Message.Type, "message"),
		Data:  string(eventstream.Text(event.Message.ContentType, event.Message.Body)),
	}
}

func write(w http.ResponseWriter, contentType string, body []byte, position brokers.Position, kept http.Header) error {
	header := w.Header()
	AllowOrigins(header, kept)
	// One array for all values costs less, and many messages are written at once.
	values := [...]string{contentType, strconv.Itoa(len(body)), "no-store", "nosniff", position.String()}
	for i, name := range [...]string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", lastEventID} {
		header[name] = values[i : i+1 : i+1]
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}

// AllowOrigins copies the fields from kept that say which other origins may read an answer
// of the backend, because they may read its messages too.
func AllowOrigins(header, kept http.Header) {
	for name, values := range kept {
		if strings.HasPrefix(name, "Access-Control-") || name == "Cross-Origin-Resource-Policy" || name == "Timing-Allow-Origin" {
			header[name] = values
		}
	}
}
