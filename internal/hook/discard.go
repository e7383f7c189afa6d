package hook

import (
	"io"
	"net/http"
	"time"
)

// Many clients send the whole body before they read the answer. If their request is
// refused before the body is read, they would only see a reset connection. So the body
// is read and discarded, within limits, because the client may be anyone.
const (
	// maxDiscarded is the maximum number of bytes: enough for a message that is
	// several times larger than the default limit of 1 MB, but too few for an attack.
	maxDiscarded = 16 << 20

	// discardTime is the maximum time: enough to receive some megabytes on a local
	// network, but too short for slow clients to occupy many connections.
	discardTime = 5 * time.Second
)

// Discard reads and discards the rest of the body of a request that is refused, up to
// 16 MiB and for at most 5 seconds. It does nothing on HTTP/2 and HTTP/3, where a body
// can be aborted without closing the connection.
func Discard(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		return
	}
	// Without a deadline, a slow client could make this take forever.
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	// After an error the client does not read the answer anyway.
	_, _ = io.CopyN(io.Discard, r.Body, maxDiscarded)
}

// hasBody reports whether the body of a request must be read before the next request
// on its connection.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 && r.ProtoMajor == 1 }
