package hook

import (
	"io"
	"net/http"
	"time"
)

// Many clients send the whole body before they read the answer. Of one that is refused
// before it is read they would see no more than a reset connection, so the body is read
// on and thrown away. But the client may be anyone, and nothing that it sends is of use.
const (
	// maxDiscarded is how much is read: enough for a message that is some times too
	// large, at the default limit of 1 MB, and too little to be worth an attack.
	maxDiscarded = 16 << 20

	// discardTime is how long that may take: enough for some megabytes from anywhere
	// near, and so short that slow clients hold few connections.
	discardTime = 5 * time.Second
)

// Discard reads what is still to come of the body of a request that is refused, up to
// 16 MiB and for 5 seconds at most. It does nothing on HTTP/2 and 3, which can end a
// body without the connection.
func Discard(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		return
	}
	// Without a time limit a slow client would decide how long this takes.
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	// A client that has left, or sends no more, is none that reads the answer.
	_, _ = io.CopyN(io.Discard, r.Body, maxDiscarded)
}

// hasBody reports whether a body stands between a request and the next one on its
// connection.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 && r.ProtoMajor == 1 }
