package hook

import (
	"encoding/json"
	"net/http"
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

// Write answers with it.
func (p *Problem) Write(w http.ResponseWriter) {
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON writes a whole answer. HTML is left unescaped: channel names read as
// they are, and nosniff keeps browsers from seeing a page in them.
func writeJSON(w http.ResponseWriter, status int, contentType string, value any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// Strings and numbers always encode; the error of a client that has left
	// leaves no one to tell.
	_ = encoder.Encode(value)
}
