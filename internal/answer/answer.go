// Package answer is what parker adds to the answers that clients get, and the
// answers that it gives itself.
package answer

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/field"
)

// lastEventID is the field Last-Event-ID as net/http spells it.
const lastEventID = "Last-Event-Id"

// Release says in Parker-Status why a request was let go.
type Release string

// The values of [Release].
const (
	None    Release = "none"    // it was not held
	Replay  Release = "replay"  // a publish had it replayed
	Message Release = "message" // a published message is the answer
	History Release = "history" // a message that came while the client was away is
	Timeout Release = "timeout" // its time was over, or a newer poll took its place
	Watch   Release = "watch"   // asking at intervals found news
	Full    Release = "full"    // as many as may be are parked already
	Stop    Release = "stop"    // the server stops
	Error   Release = "error"   // its replays failed until its time was over

	Left Release = "left" // its client left: only logs and metrics say so
)

// Detail says in Parker-Status why a request was not held.
type Detail string

// The values of [Detail].
const (
	Method      Detail = "method"      // it has none of the methods
	Upgrade     Detail = "upgrade"     // it asks for another protocol
	Incremental Detail = "incremental" // it says that its body is to be passed on as it comes
	Channel     Detail = "channel"     // it has no channel to wait on
	Body        Detail = "body"        // its body is too long to be sent again, or did not come whole
	Wait        Detail = "wait"        // its client wants no wait
	Lost        Detail = "position"    // its client is to begin anew

	News   Detail = "news"   // the answer meets no rule of nothing_new
	Status Detail = "status" // the answer's status speaks of something else than news
	Length Detail = "length" // the answer is longer than what is looked at
	Slow   Detail = "slow"   // the answer did not end soon after its header
)

// Releases are all of them.
var Releases = []Release{None, Replay, Message, History, Timeout, Watch, Full, Stop, Error, Left}

// Report is what parker says of itself in each answer.
type Report struct {
	Release Release

	// Detail is why it was not held, if Release is None.
	Detail Detail

	// Parked is how long the request was parked.
	Parked time.Duration

	// Wait is the client's wait preference, if one was applied: not negative.
	Wait time.Duration

	// Position is where the client is to go on from, or zero.
	Position brokers.Position

	// Lost says that not all is known that came after the client's own position.
	Lost bool
}

// Put adds Parker-Status, in the manner of RFC 9211, Preference-Applied, RFC 7240,
// section 3, and what the client needs to go on.
func (s Report) Put(header http.Header) {
	status := "parker; park=0.0; release=none; detail=news"
	if s.Parked > 0 || s.Release != None || s.Detail != News {
		text := appendSeconds([]byte("parker; park="), s.Parked)
		text = append(append(text, "; release="...), s.Release...)
		if s.Release == None && s.Detail != "" {
			text = append(append(text, "; detail="...), s.Detail...)
		}
		status = string(text)
	}
	header["Parker-Status"] = append(header["Parker-Status"], status)
	if s.Wait >= 0 {
		header.Add("Preference-Applied", "wait="+strconv.FormatInt(int64(s.Wait/time.Second), 10))
	}
	if s.Position != (brokers.Position{}) {
		header[lastEventID] = []string{s.Position.String()}
	}
	if s.Lost {
		header.Set("Parker-Recovered", "false")
	}
}

// VaryByAccept says for caches that an answer depends on the request's Accept field, as
// one URL is a poll's and a stream's: RFC 9110, section 12.5.5.
func VaryByAccept(header http.Header) {
	lines := header["Vary"]
	for _, name := range field.List(lines) {
		if name == "*" || strings.EqualFold(name, "Accept") {
			return
		}
	}
	header["Vary"] = append(slices.Clip(lines), "Accept")
}

// Seconds is a duration in seconds, as a decimal of RFC 9651.
func Seconds(d time.Duration) string { return string(appendSeconds(nil, d)) }

func appendSeconds(text []byte, d time.Duration) []byte {
	return strconv.AppendFloat(text, d.Seconds(), 'f', 1, 64)
}
