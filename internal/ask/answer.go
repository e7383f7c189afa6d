package ask

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Answer is an answer that was kept as a whole. Requests share it, so it must not be
// changed.
type Answer struct {
	Status int // 0: only header fields

	// Header holds the fields that the route has set or changed. Removed holds the names of
	// fields of handlers further out that the route has removed.
	Header  http.Header
	Removed []string

	Body    []byte
	Trailer http.Header

	holders atomic.Int32
}

// Hold counts one more holder of the answer. For the first holder it returns the size of
// the answer, otherwise 0. The size of a nil Answer is 0.
func (a *Answer) Hold() (size int64) {
	if a == nil || a.holders.Add(1) > 1 {
		return 0
	}
	return a.size()
}

// Drop counts one holder less. For the last holder it returns the size of the answer,
// otherwise 0.
func (a *Answer) Drop() (size int64) {
	if a == nil || a.holders.Add(-1) > 0 {
		return 0
	}
	return a.size()
}

func (a *Answer) size() int64 {
	return int64(len(a.Body)) + sizeOf(a.Header) + sizeOf(a.Trailer)
}

// sizeOf returns the length of all names and values, in bytes.
func sizeOf(header http.Header) (size int64) {
	for name, lines := range header {
		size += sizeOfField(name, lines)
	}
	return size
}

func sizeOfField(name string, lines []string) int64 {
	size := len(name)
	for _, line := range lines {
		size += len(line)
	}
	return int64(size)
}

// Apply changes the header of a client's answer as the route has changed its own.
func (a *Answer) Apply(h http.Header) {
	for _, name := range a.Removed {
		delete(h, name)
	}
	for name, values := range a.Header {
		h[name] = slices.Clone(values)
	}
}

// WriteTo sends the answer with the header that is in w, unless the answer has no status.
// The error is that of the client's connection.
func (a *Answer) WriteTo(w http.ResponseWriter) error {
	if a.Status == 0 {
		return nil
	}
	w.WriteHeader(a.Status)
	var err error
	if len(a.Body) > 0 {
		_, err = w.Write(a.Body)
	}
	if len(a.Trailer) > 0 {
		// net/http sends trailers only if it does not know the length of the body.
		_ = http.NewResponseController(w).Flush()
		maps.Copy(w.Header(), a.Trailer)
	}
	return err
}

// Without returns the answer without one of its fields.
func (a *Answer) Without(name string) *Answer {
	header := maps.Clone(a.Header)
	delete(header, name)
	return &Answer{Status: a.Status, Header: header, Removed: a.Removed, Body: a.Body, Trailer: a.Trailer}
}

// WithBody returns the answer with another body, which has no content coding.
func (a *Answer) WithBody(body []byte) *Answer {
	header := maps.Clone(a.Header)
	delete(header, "Content-Encoding")
	if _, ok := header["Content-Length"]; ok {
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	return &Answer{Status: a.Status, Header: header, Removed: a.Removed, Body: body, Trailer: a.Trailer}
}

// NotModified returns the 304 answer for a client that already has the answer (RFC 9110,
// section 15.4.5).
func (a *Answer) NotModified() *Answer {
	header := maps.Clone(a.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool {
		return strings.HasPrefix(name, "Content-") && name != "Content-Location" || name == "Trailer"
	})
	return &Answer{Status: http.StatusNotModified, Header: header, Removed: a.Removed}
}

// newAnswer returns an answer. It takes over header, and removes the fields from it that
// are still as handlers further out have set them, which before holds.
func newAnswer(status int, before, header http.Header, body []byte, trailer http.Header) *Answer {
	a := &Answer{Status: status, Header: header, Body: body, Trailer: trailer}
	for name, old := range before {
		values, ok := header[name]
		switch {
		case !ok:
			a.Removed = append(a.Removed, name)
		case slices.Equal(old, values):
			delete(header, name)
		}
	}
	return a
}

// trailers returns the fields of a header that are sent after the body: those that its
// Trailer field announces, and those with the prefix of net/http.
func trailers(header http.Header) http.Header {
	var found http.Header
	take := func(name string) {
		if values, ok := header[name]; ok {
			if found == nil {
				found = make(http.Header)
			}
			found[name] = values
		}
	}
	for _, line := range header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			take(http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	for name := range header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			take(name)
		}
	}
	return found
}
