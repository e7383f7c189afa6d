package nothingnew

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/caddy-parker/parker/internal/jsonvalue"
	"github.com/caddy-parker/parker/internal/requestbody"
)

// RequestBody returns what distinguishes the body of a request from those of other
// requests. If the body is JSON, that is its canonical encoding without the parts in
// Except. The Content-Type does not matter, because calls are also sent as text. If the
// body is a form, it is the form without the parameters that Except names; a form counts
// as an object whose members are the parameters. In any other case, and if the body has a
// content coding or Except is empty, it is the body itself.
func (r *Rules) RequestBody(header http.Header, body []byte) []byte {
	if len(r.except) == 0 || len(codings(header)) > 0 {
		return body
	}
	if rest, ok := r.callBody(header, body); ok {
		return rest
	}
	if requestbody.IsForm(header) {
		return r.formWithoutExcepted(body)
	}
	return body
}

// formWithoutExcepted returns a form without the parameters in Except. The other
// parameters are not changed.
func (r *Rules) formWithoutExcepted(body []byte) []byte {
	var rest [][]byte
	for _, parameter := range requestbody.Parameters(body) {
		if name, ok := parameter.Name(); !ok || !r.isExcepted(name) {
			rest = append(rest, parameter)
		}
	}
	return bytes.Join(rest, []byte{'&'})
}

// isExcepted reports whether Except contains a pointer to the parameter of a form.
func (r *Rules) isExcepted(parameter string) bool {
	return slices.ContainsFunc(r.except, func(p jsonvalue.Pointer) bool { return p.NamesMember(parameter) })
}
