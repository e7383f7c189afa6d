package response

import "net/http"

// Discard returns a writer that discards everything. Its header is the given one.
func Discard(header http.Header) http.ResponseWriter { return discard{header} }

type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
