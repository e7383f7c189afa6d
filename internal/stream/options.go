package stream

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
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/response"
)

// Options says how events are streamed. [Options.Provision] must be called first.
type Options struct {
	// After how much silence a comment is sent, so that proxies do not close the
	// stream. Default: 15s.
	Heartbeat caddy.Duration `json:"heartbeat,omitempty"`

	// How long a client that has lost its stream is told to wait before it comes
	// back, varied at random by up to a quarter. Default: 2s.
	Retry caddy.Duration `json:"retry,omitempty"`

	// How many events wait for a client that reads slowly. If there are more, the
	// stream ends, and the client comes back for the rest. Default: 64.
	Queue int `json:"queue,omitempty"`

	// The maximum size of the messages that wait for a client, in bytes. A single
	// message may be larger. Default: the value of `max_message`.
	QueueBytes int64 `json:"queue_bytes,omitempty"`

	// After how long a stream ends and the client comes back, shortened at random
	// by up to a tenth. Default: 0, which means never.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// Provision fills in the defaults.
func (o *Options) Provision(maxMessage int64) error {
	for name, value := range map[string]int64{
		"heartbeat": int64(o.Heartbeat), "retry": int64(o.Retry), "queue": int64(o.Queue), "queue_bytes": o.QueueBytes, "max_age": int64(o.MaxAge),
	} {
		if value < 0 {
			return fmt.Errorf("%s must not be negative", name)
		}
	}
	o.Heartbeat = cmp.Or(o.Heartbeat, caddy.Duration(15*time.Second))
	o.Retry = cmp.Or(o.Retry, caddy.Duration(2*time.Second))
	o.Queue = cmp.Or(o.Queue, 64)
	o.QueueBytes = cmp.Or(o.QueueBytes, maxMessage)
	return nil
}

// Read reads the options of streams after their name in a Caddyfile. Syntax:
//
//	sse {
//	    heartbeat <duration>
//	    retry     <duration>
//	    queue     <events> [<size>]
//	    max_age   <duration>
//	}
func (o *Options) Read(d *caddyfile.Dispenser) error {
	_, err := option.Read(d, option.Options{
		"heartbeat": option.Duration(&o.Heartbeat, time.Millisecond),
		"retry":     option.Duration(&o.Retry, time.Millisecond),
		"queue":     option.Sequence(option.Integer(&o.Queue, 1), option.Optional(option.Size(&o.QueueBytes))),
		"max_age":   option.Duration(&o.MaxAge, 0),
	})
	return err
}

// forever is the age of a stream without a limit.
const forever = 100 * 365 * 24 * time.Hour

// Begin returns what a stream that begins now needs from the start.
func (o *Options) Begin() *poll.Streaming {
	age := forever
	if o.MaxAge > 0 {
		age = poll.Shortened(time.Duration(o.MaxAge))
	}
	return &poll.Streaming{Room: lot.Room{Events: o.Queue, Bytes: o.QueueBytes}, End: time.Now().Add(age)}
}

// retryTime returns how long a client is told to wait before it comes back. It varies, so
// that not all come back together.
func (o *Options) retryTime() time.Duration {
	d := time.Duration(o.Retry)
	return d*3/4 + rand.N(d/2+1)
}

// HeartbeatTime returns the heartbeat of one stream. It varies, so that not all streams
// send theirs together.
func (o *Options) HeartbeatTime() time.Duration { return poll.Shortened(time.Duration(o.Heartbeat)) }

// Attend takes care of the answer to a request that is not held: see [response.Attend].
func (o *Options) Attend(client http.ResponseWriter, r *http.Request, status int) *response.Live {
	limits := response.LimitsOf(client, r)
	return response.Attend(client, r, &limits, status, o.HeartbeatTime())
}
