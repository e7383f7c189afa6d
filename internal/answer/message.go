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

// WriteMessage answers with a published message, the first of events. kept is the
// header of the answer that the backend gave: what it says of other origins holds
// for the message too.
func WriteMessage(w http.ResponseWriter, events []brokers.Event, kept http.Header) error {
	event := events[0]
	return write(w, event.Message.ContentType, event.Message.Body, event.Position, kept)
}

// batched is an event as clients know it from a stream: RFC 8259 has no bytes, so
// a body is text here as it is there.
type batched struct {
	ID    string `json:"id"`
	Event string `json:"event"`
	Data  string `json:"data"`
}

// maxBatch is how many bytes an answer with several messages has at most.
const maxBatch = 1_000_000

// WriteBatch answers with the first of the events, as a JSON array: as many as an
// answer has room for, one at least. Its position is the last one's, so the client
// goes on with the rest.
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
	// One array for all values: many messages are written at once.
	values := [...]string{contentType, strconv.Itoa(len(body)), "no-store", "nosniff", position.String()}
	for i, name := range [...]string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", lastEventID} {
		header[name] = values[i : i+1 : i+1]
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}

// AllowOrigins copies what a backend's answer says of other origins.
func AllowOrigins(header, kept http.Header) {
	for name, values := range kept {
		if strings.HasPrefix(name, "Access-Control-") || name == "Cross-Origin-Resource-Policy" || name == "Timing-Allow-Origin" {
			header[name] = values
		}
	}
}
