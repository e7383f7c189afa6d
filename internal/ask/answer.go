package ask

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Answer is an answer that was kept whole. It is shared by all who are given it
// and never changed.
type Answer struct {
	Status int // 0: there are header fields only

	// Header holds the fields that the route set or changed, Removed the names
	// of those that it took away from what handlers further out had set.
	Header  http.Header
	Removed []string

	Body    []byte
	Trailer http.Header

	holders atomic.Int32
}

// Hold notes one more that holds the answer. For the first it returns the answer's size,
// else 0. A nil Answer has none.
func (a *Answer) Hold() (size int64) {
	if a == nil || a.holders.Add(1) > 1 {
		return 0
	}
	return a.size()
}

// Drop notes one less. For the last it returns the answer's size, else 0.
func (a *Answer) Drop() (size int64) {
	if a == nil || a.holders.Add(-1) > 0 {
		return 0
	}
	return a.size()
}

func (a *Answer) size() int64 {
	return int64(len(a.Body)) + sizeOf(a.Header) + sizeOf(a.Trailer)
}

// sizeOf returns how many bytes fields take, without what Go needs for them besides.
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

// Apply puts the answer's fields into the header of a client's answer.
func (a *Answer) Apply(h http.Header) {
	for _, name := range a.Removed {
		delete(h, name)
	}
	for name, values := range a.Header {
		h[name] = slices.Clone(values)
	}
}

// WriteTo sends the answer, if it has a status, under the header as it stands in
// w. The error is the client's connection's.
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
		// net/http sends trailers only where it has not found out the length.
		_ = http.NewResponseController(w).Flush()
		maps.Copy(w.Header(), a.Trailer)
	}
	return err
}

// Without is the answer but for one field.
func (a *Answer) Without(name string) *Answer {
	header := maps.Clone(a.Header)
	delete(header, name)
	return &Answer{Status: a.Status, Header: header, Removed: a.Removed, Body: a.Body, Trailer: a.Trailer}
}

// NotModified is what a client is told that has the answer already: RFC 9110,
// section 15.4.5.
func (a *Answer) NotModified() *Answer {
	header := maps.Clone(a.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool {
		return strings.HasPrefix(name, "Content-") && name != "Content-Location" || name == "Trailer"
	})
	return &Answer{Status: http.StatusNotModified, Header: header, Removed: a.Removed}
}

// newAnswer is the answer whose header stands in header, which becomes the
// answer's, where before is what handlers further out had set.
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

// trailers are the fields of a header that are sent behind the body: those that
// its Trailer field announces, and those with net/http's prefix.
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
