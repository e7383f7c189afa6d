package hook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// Problem is the body of the answer to a request that is refused (RFC 9457). Its type
// is about:blank, so the title is the text of the status. The detail is a sentence that
// explains the refusal. It never contains a secret.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// MethodNotAllowed returns the refusal of a method. The caller must set the answer's
// Allow field.
func MethodNotAllowed(detail string) *Problem {
	return refuse(http.StatusMethodNotAllowed, detail)
}

// Answer answers a request with the problem. On HTTP/1.1 it then discards the rest of
// the request's body, as [Discard] does, and the connection is closed.
func (p *Problem) Answer(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		writeJSON(w, p.Status, "application/problem+json", p)
		return
	}
	// Without this field the server would read the body before it sends the answer, to
	// keep the connection open (RFC 9112, section 9.3).
	w.Header().Set("Connection", "close")
	writeJSON(w, p.Status, "application/problem+json", p)
	_ = http.NewResponseController(w).Flush() // otherwise it is sent after the body is read
	Discard(w, r)
}

// writeJSON writes a complete answer. HTML is not escaped, so that channel names stay
// readable. That is safe because nosniff prevents browsers from rendering it.
func writeJSON(w http.ResponseWriter, status int, contentType string, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // strings and numbers always encode
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // an error means that the client has left
}
