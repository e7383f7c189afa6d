package requestbody

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// Parameter is a parameter of a form, as it was sent.
type Parameter []byte

// IsForm reports whether the header describes a body as the parameters of a form.
func IsForm(header http.Header) bool {
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded")
}

// Parameters returns the parameters of a form. The bytes are those of the body.
func Parameters(body []byte) []Parameter {
	var parameters []Parameter
	for parameter := range bytes.SplitSeq(body, []byte{'&'}) {
		parameters = append(parameters, parameter)
	}
	return parameters
}

// Name returns the decoded name. ok is false if it is not encoded correctly.
func (p Parameter) Name() (name string, ok bool) {
	encoded, _, _ := bytes.Cut(p, []byte{'='})
	return decode(encoded)
}

// Value returns the decoded value. ok is false if it is not encoded correctly.
func (p Parameter) Value() (value string, ok bool) {
	_, encoded, _ := bytes.Cut(p, []byte{'='})
	return decode(encoded)
}

func decode(encoded []byte) (text string, ok bool) {
	text, err := url.QueryUnescape(string(encoded))
	return text, err == nil
}
