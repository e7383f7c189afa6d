package nothingnew

import "net/http"

// answer is a whole answer. Its body is decoded and parsed once, when a rule needs it.
type answer struct {
	status int
	header http.Header
	body   []byte
	limit  int64 // how many bytes of the decoded body are looked at

	decoded bool
	err     error
	text    []byte // the body without its content codings, trimmed

	parsed   bool
	isJSON   bool
	document any
}

// decode gives the answer its text.
func (a *answer) decode() error {
	if !a.decoded {
		a.decoded = true
		var text []byte
		text, a.err = Decode(a.header, a.body, a.limit)
		a.text = trim(text)
	}
	return a.err
}

// json is the text as JSON, if it is that.
func (a *answer) json() (document any, ok bool) {
	if !a.parsed {
		a.parsed = true
		if mayStartJSON(a.text) {
			var err error
			a.document, err = parseJSON(a.text)
			a.isJSON = err == nil
		}
	}
	return a.document, a.isJSON
}
