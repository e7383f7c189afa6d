package response

import (
	"net/http"

	"github.com/caddy-parker/parker/internal/field"
)

// Header fields that only parker reads or writes.
const (
	publishField  = "Parker-Publish"  // a backend names the channels to publish on; clients never see it
	positionField = "Parker-Position" // the position of the newest event
)

// TakeChannels removes the Parker-Publish field from the header of an answer and returns
// the channels that it names. ok is false if there is no such field.
func TakeChannels(header http.Header) (channels []string, ok bool) {
	lines, ok := header[publishField]
	if !ok {
		return nil, false
	}
	delete(header, publishField)
	return field.List(lines), true
}
