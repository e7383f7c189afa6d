package hook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// Problem is a refusal (RFC 9457). Of type about:blank, it says no more than its
// status does, but for the detail: a sentence for whoever called, never with a
// secret in it.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// MethodNotAllowed is the refusal of a method. The answer's field Allow is to name those
// that are allowed.
func MethodNotAllowed(detail string) *Problem {
	return refuse(http.StatusMethodNotAllowed, detail)
}

// Answer answers a request with it. A body that was not read is discarded afterwards,
// within bounds, and the connection closed.
func (p *Problem) Answer(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		writeJSON(w, p.Status, "application/problem+json", p)
		return
	}
	// Else the server would read the body before it sends the answer, so as to keep
	// the connection (RFC 9112, section 9.3).
	w.Header().Set("Connection", "close")
	writeJSON(w, p.Status, "application/problem+json", p)
	_ = http.NewResponseController(w).Flush() // else it is sent behind the body
	Discard(w, r)
}

// writeJSON writes a whole answer. HTML is left unescaped: channel names read as
// they are, and nosniff keeps browsers from seeing a page in them.
func writeJSON(w http.ResponseWriter, status int, contentType string, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // strings and numbers always encode
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // a client that has left need not be told
}
