package poll

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/option"
	"github.com/caddy-parker/parker/internal/response"
)

// Streams says how events are streamed. [Streams.Provision] comes first.
type Streams struct {
	// After how much silence a comment is sent, so that no proxy takes the stream
	// for dead. Default: 15s.
	Heartbeat caddy.Duration `json:"heartbeat,omitempty"`

	// How long a client that has lost its stream is told to wait before it comes
	// back, each a quarter more or less. Default: 2s.
	Retry caddy.Duration `json:"retry,omitempty"`

	// How many events wait for one client that reads slowly. Past it the stream
	// ends, and the client comes back for the rest. Default: 64.
	Queue int `json:"queue,omitempty"`

	// How many bytes their messages may have. A single one may have more.
	// Default: max_message.
	QueueBytes int64 `json:"queue_bytes,omitempty"`

	// After how long a stream ends and the client comes back, shortened at random
	// by up to a tenth. Default: 0, never.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// Provision fills in the defaults.
func (s *Streams) Provision(maxMessage int64) error {
	for name, value := range map[string]int64{
		"heartbeat": int64(s.Heartbeat), "retry": int64(s.Retry), "queue": int64(s.Queue), "queue_bytes": s.QueueBytes, "max_age": int64(s.MaxAge),
	} {
		if value < 0 {
			return fmt.Errorf("%s must not be negative", name)
		}
	}
	s.Heartbeat = cmp.Or(s.Heartbeat, caddy.Duration(15*time.Second))
	s.Retry = cmp.Or(s.Retry, caddy.Duration(2*time.Second))
	s.Queue = cmp.Or(s.Queue, 64)
	s.QueueBytes = cmp.Or(s.QueueBytes, maxMessage)
	return nil
}

// Read reads the options of streams behind their name in a Caddyfile. Syntax:
//
//	sse {
//	    heartbeat <duration>
//	    retry     <duration>
//	    queue     <events> [<size>]
//	    max_age   <duration>
//	}
func (s *Streams) Read(d *caddyfile.Dispenser) error {
	_, err := option.Read(d, option.Options{
		"heartbeat": option.Duration(&s.Heartbeat, time.Millisecond),
		"retry":     option.Duration(&s.Retry, time.Millisecond),
		"queue":     option.Sequence(option.Integer(&s.Queue, 1), option.Optional(option.Size(&s.QueueBytes))),
		"max_age":   option.Duration(&s.MaxAge, 0),
	})
	return err
}

func (s *Streams) room() lot.Room { return lot.Room{Events: s.Queue, Bytes: s.QueueBytes} }

// forever is the age of a stream without a limit.
const forever = 100 * 365 * 24 * time.Hour

// end is when a stream that begins now is to end.
func (s *Streams) end(now time.Time) time.Time {
	if s.MaxAge == 0 {
		return now.Add(forever)
	}
	return now.Add(shortened(time.Duration(s.MaxAge)))
}

// retry is what a client is told: they are not to come all at once.
func (s *Streams) retry() time.Duration {
	d := time.Duration(s.Retry)
	return d*3/4 + rand.N(d/2+1)
}

// heartbeat is spread as well.
func (s *Streams) heartbeat() time.Duration { return shortened(time.Duration(s.Heartbeat)) }

// Attend takes care of an answer that was never a poll's: see [response.Attend].
func (s *Streams) Attend(client http.ResponseWriter, r *http.Request, status int) *response.Live {
	limits := response.LimitsOf(client, r)
	return response.Attend(client, r, &limits, status, s.heartbeat())
}
