package nothingnew

import (
	"net/http"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// answer is a complete answer. Its body is decoded and parsed once, when a rule needs it.
type answer struct {
	status int
	header http.Header
	body   []byte
	limit  int64 // the maximum size of the decoded body in bytes

	decoded bool
	err     error
	text    []byte // the body without its content codings, trimmed

	parsed   bool
	isJSON   bool
	document any
}

// decode sets the answer's text.
func (a *answer) decode() error {
	if !a.decoded {
		a.decoded = true
		var text []byte
		text, a.err = Decode(a.header, a.body, a.limit)
		a.text = trim(text)
	}
	return a.err
}

// json returns the parsed text. ok is false if it is not JSON.
func (a *answer) json() (document any, ok bool) {
	if !a.parsed {
		a.parsed = true
		if jsonvalue.MayStart(a.text) {
			var err error
			a.document, err = jsonvalue.Parse(a.text)
			a.isJSON = err == nil
		}
	}
	return a.document, a.isJSON
}
