package advise

import (
	"net/http"
	"time"
)

// Observation is one request and its answer. What is not known is the zero value: a log has
// no bodies, and often no header fields.
type Observation struct {
	Begun time.Time     // when the request came
	Took  time.Duration // until its answer had ended

	// Step is the step of the clock that Begun was read from: a second in many logs. Times
	// that are closer than that may be in any order. It is 0 if Begun is exact.
	Step time.Duration

	// Client stands for who has sent the request: a digest with a random key, of the address
	// and the User-Agent. What else tells clients apart, cookies and credentials, is in
	// Request. Client never contains any of them.
	Client string

	// Host is the host that was asked for, without a port.
	Host string

	Method string
	Path   string // as it was sent, escaped
	Query  string // as it was sent, without the question mark

	// Request has the fields of the header that matter, nil if they are not known. Cookie has
	// `name=digest` for each cookie, and Authorization the scheme and a digest.
	Request http.Header
	Body    []byte // of the request, if it is known and short

	// Answer has the fields of the header that matter. Set-Cookie has `name=digest` for each.
	Status int
	Answer http.Header
	Text   []byte // the decoded body of the answer, if it is known and short

	// Sum is a digest of the decoded body of the answer, and Length its length. Length is
	// -1 if the body is not known: then Sum is empty, and Text is nil.
	Sum    string
	Length int64

	// Sent is the length of the answer as a log counts it: of the body with its content
	// coding, and with some servers of the header, too. It is also 0 if it is not known.
	Sent int64

	// Logged is true if all that is known of the answer is its header, its status and Sent,
	// because it comes from an access log.
	Logged bool
}
