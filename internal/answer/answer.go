// Package answer has what parker adds to the answers of a backend, and the answers that
// parker makes from messages.
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

// Release is why a request was released, as Parker-Status says it.
type Release string

// The values of [Release].
const (
	None    Release = "none"    // it was not held
	Replay  Release = "replay"  // it was replayed because of a publish
	Message Release = "message" // the answer is a message
	History Release = "history" // the answer is a message that the client had missed
	Timeout Release = "timeout" // its deadline passed, or a newer poll took its place
	Watch   Release = "watch"   // asking at intervals found news
	Full    Release = "full"    // the maximum number of requests is parked already
	Stop    Release = "stop"    // the server stops
	Error   Release = "error"   // its replays failed until its deadline passed

	Left Release = "left" // its client left; only in logs and metrics
)

// Detail is why a request was not held, as Parker-Status says it.
type Detail string

// The values of [Detail].
const (
	Method      Detail = "method"      // it has none of the methods
	Write       Detail = "write"       // parker_notify publishes if it succeeds
	Upgrade     Detail = "upgrade"     // it asks for another protocol
	Incremental Detail = "incremental" // its body must be forwarded as it comes
	Channel     Detail = "channel"     // it has no channel to wait on
	Body        Detail = "body"        // its body is too long to be replayed, or is incomplete
	Wait        Detail = "wait"        // its client does not want to wait
	Lost        Detail = "position"    // its client must begin again

	Unknown Detail = "unknown client" // it is not known what its client has

	News   Detail = "news"   // the answer meets no rule of nothing_new
	Status Detail = "status" // the answer's status means something other than news
	Length Detail = "length" // the answer is longer than max_body
	Slow   Detail = "slow"   // the answer did not end soon after its header
)

// Releases holds all values of [Release].
var Releases = []Release{None, Replay, Message, History, Timeout, Watch, Full, Stop, Error, Left}

// Report is what parker adds to the header of an answer.
type Report struct {
	Release Release

	// Detail is why the request was not held, if Release is None.
	Detail Detail

	// Parked is how long the request was parked.
	Parked time.Duration

	// Wait is the client's wait preference, or negative if none was applied.
	Wait time.Duration

	// Position is where the client continues from, or zero.
	Position brokers.Position

	// Lost is true if events after the client's own position are not known any more.
	Lost bool
}

// Put adds Parker-Status, which is like Cache-Status (RFC 9211), Preference-Applied
// (RFC 7240, section 3), and what the client needs to continue.
func (s Report) Put(header http.Header) {
	status := "parker; park=0.0; release=none; detail=news"
	if s.Parked > 0 || s.Release != None || s.Detail != News {
		var memory [64]byte
		text := appendSeconds(append(memory[:0], "parker; park="...), s.Parked)
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

// ReleaseOf returns how the request was released that got an answer with this header. It is
// empty if parker did not handle it.
func ReleaseOf(header http.Header) Release {
	said := header["Parker-Status"]
	if len(said) == 0 {
		return ""
	}
	for parameter := range strings.SplitSeq(said[len(said)-1], ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(parameter), "release="); ok {
			return Release(value)
		}
	}
	return ""
}

// VaryByAccept adds Accept to the Vary field (RFC 9110, section 12.5.5), because polls and
// streams have the same URL.
func VaryByAccept(header http.Header) {
	lines := header["Vary"]
	for _, name := range field.List(lines) {
		if name == "*" || strings.EqualFold(name, "Accept") {
			return
		}
	}
	header["Vary"] = append(slices.Clip(lines), "Accept")
}

// Seconds formats a duration in seconds, as a decimal (RFC 9651).
func Seconds(d time.Duration) string { return string(appendSeconds(nil, d)) }

func appendSeconds(text []byte, d time.Duration) []byte {
	return strconv.AppendFloat(text, d.Seconds(), 'f', 1, 64)
}
