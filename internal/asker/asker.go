// Package asker asks the backend for one client: alone, or together with other clients
// that would get the same answer. It judges the answer, remembers what later asks need of
// it, and decides when a failed ask is repeated.
//
// An [Asker] does not park its request, and it does not answer the client, unless the
// backend's answer streams to the client while it comes.
package asker

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/memory"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/parking"
	"github.com/caddy-parker/parker/internal/response"
)

// Asker asks for one request. It belongs to the goroutine that serves the request.
type Asker struct {
	Exchange
	State

	// Park says why the request parks next, for asks that are repeated a while after an
	// event.
	Park coalesce.Parking

	config *Config
	space  *parking.Space
	client Client
	group  *coalesce.Group // nil until Enter
	asked  *coalesce.Group // the group of the last ask
	varies []string        // fields by which answers varied that did not match, sorted
	whole  bool            // an answer was for other values that do not count at first
	parted parted          // what it has left for that
	listed bool            // the group knows that the request is parked

	freed  atomic.Bool // an event has freed the request from a replay that hung
	behind atomic.Bool // the stream has events to send after its replay
	seen   Seen        // of the last answer

	digested *ask.Answer   // the answer that digest is of
	digest   memory.Digest // as it is remembered

	outer      *attempt // of a handler further out that would hold the request too, or nil
	depth      int      // how many such handlers there are
	overlapped bool     // a handler further in holds the request
}

// Exchange is a request and the way back to its client.
type Exchange struct {
	Writer   http.ResponseWriter // to the client, or for a stream a writer that discards
	Next     caddyhttp.Handler   // the rest of the route
	HTTP     *http.Request
	Request  *ask.Request // the same, as it can be sent again
	Limits   response.Limits
	Channels []string

	// ReplayTimeout is how long a replay of a stream takes at most.
	ReplayTimeout time.Duration

	// Streams is true if answers become events on a stream.
	Streams bool

	// Alone is true if other requests may go through another route behind the handler, so
	// that nothing is shared unless the operator says what answers depend on.
	Alone bool
}

// State is what an asker remembers between asks. It stays valid in another configuration.
type State struct {
	// Patience is when a first ask no longer waits for others to end.
	Patience time.Time

	// Kept is the last answer with nothing new, or nil.
	Kept *ask.Answer

	// Cookies are those that answers have set which the client did not get.
	Cookies answer.Cookies

	// Retry is when to repeat the last replay, which has failed, or the zero time.
	Retry time.Time

	// Memory is what the client is remembered to have, or nil.
	Memory *memory.Poll

	// Asks counts how often the backend was asked for this request itself.
	Asks int

	failures  int       // failed replays in a row
	askedAt   time.Time // when the last ask began
	watch     bool      // the next ask is the one that watch makes for the whole group
	unchanged bool      // the client has Kept already
	counted   bool      // by CountHold
}

// Config is what the askers of one handler have in common.
type Config struct {
	// Hub has the broker, publishes what answers announce, and knows when the server
	// stops.
	Hub hub.Hub

	Groups *coalesce.Groups
	Rules  *nothingnew.Rules

	// Interest says which events release the requests. If only messages do, the backend
	// is not asked first.
	Interest lot.Interest

	// Asks limits how many asks run at once.
	Asks *semaphore.Weighted

	// Slow holds the asks that wait for the header of their answer, for [SlowAfter].
	Slow *delay.Queue

	// MaxBody is the maximum size of an answer that is judged, in bytes.
	MaxBody int64

	// Patience limits how long an answer that is judged may take.
	Patience Patience

	// Revalidate is true if browsers may keep answers, and ask for them with conditions. Then
	// Rules give answers a validator.
	Revalidate bool

	// Share says which requests share answers. If it is public, Set-Cookie is not shared.
	Share coalesce.Rule

	// Remember says by what else than address, host and User-Agent clients are told apart
	// for what they are remembered to have.
	Remember coalesce.Rule

	// Heartbeat returns after how much silence a comment is sent on a stream.
	Heartbeat func() time.Duration

	Metrics *metrics.Handler
	Logger  *zap.Logger

	// Personal limits the warnings about shared answers that the backend marks as one
	// client's.
	Personal logging.Rarely
}

// MaxEvent returns the maximum size of an answer that becomes an event on a stream, in
// bytes.
func (c *Config) MaxEvent() int64 { return max(c.MaxBody, c.Hub.MaxMessage) }

// Client is told of answers that stream to the client.
type Client interface {
	// NotHeld is called when an answer begins to stream to the client, so that the
	// request is not held.
	NotHeld(status int, why answer.Detail)

	// Finish adds parker's fields to the header of that answer.
	Finish(header http.Header)
}

// Seen describes the last answer that was news, for debug logs.
type Seen struct {
	Size    int    // of the body, as far as it was looked at
	Missing string // what it would take for the answer to be nothing new
}

// New returns the asker of a request. [Asker.Enter] must follow before it asks.
func (c *Config) New(exchange Exchange, patience time.Time) Asker {
	return Asker{Exchange: exchange, State: State{Patience: patience}, config: c}
}

// Connect sets where the request is parked, and who is told of answers that stream. If a
// handler further out would hold the request as well, that lets the answer pass from now
// on.
func (a *Asker) Connect(space *parking.Space, client Client) {
	a.space, a.client = space, client
	if a.outer = outerOf(a.HTTP); a.outer != nil {
		a.depth = a.outer.asker.depth + 1
		a.outer.overlap()
	}
}

// Enter makes the request a member of its group. [Asker.Exit] must follow.
func (a *Asker) Enter() {
	a.group = a.config.Groups.Enter(a.key(), a.Channels)
	if !a.whole && a.group.Apart(a.space.Address()) {
		a.whole = true
		a.regroup()
	}
}

// TakeOver makes the asker continue for a request of an older configuration.
func (a *Asker) TakeOver(from *Asker) {
	a.State, a.depth = from.State, from.depth
	from.Memory = nil
}

// Exit ends the membership.
func (a *Asker) Exit() { a.group.Exit() }

// List makes the request one of those in its group that are parked. [Asker.Unlist] must
// follow.
func (a *Asker) List() {
	why := a.Park
	if a.Retries() {
		why = coalesce.Anew
	}
	a.listed = a.group.Parked(a.space.Waiter, why, a.askedAt)
}

// Unlist undoes [Asker.List].
func (a *Asker) Unlist() {
	if a.listed {
		a.listed = false
		a.group.Unparked(a.space.Waiter)
	}
}

// Released says what has released the request. Its next ask follows from that.
func (a *Asker) Released(cause lot.Cause) {
	a.watch = cause == lot.Woken
	a.Park = coalesce.Anew
	if cause == lot.Published {
		a.Park = coalesce.InVain // unless the ask brings news
	}
}

// MessagesOnly reports whether the request waits for messages, whatever the backend
// answers.
func (a *Asker) MessagesOnly() bool { return a.config.Interest == lot.MessagesOnly }

// SetBehind says whether the stream has events to send after its replay.
func (a *Asker) SetBehind(behind bool) { a.behind.Store(behind) }

// Found says that the last ask has brought news. If it looked again after an event, the
// other members of its group ask, too.
func (a *Asker) Found() {
	if a.space.Cause() == lot.Looked {
		a.asked.Found()
	}
}

// FoundKnown says that the last ask has brought what the client knows already.
func (a *Asker) FoundKnown() {
	if a.space.Cause() == lot.Looked {
		a.asked.FoundKnown()
	}
}

// Looks reports whether asks are repeated a while after an event.
func (a *Asker) Looks() bool { return a.config.Groups.Looks() }

// Overlapped reports whether a handler further in holds the request, and this one lets its
// answer pass.
func (a *Asker) Overlapped() bool { return a.overlapped }

// Depth returns how many handlers further out would hold the request as well.
func (a *Asker) Depth() int { return a.depth }

// MovedAway tells the handler further out, if there is one, that another configuration
// serves the request now.
func (a *Asker) MovedAway() {
	if a.outer != nil {
		a.outer.elsewhere = true
	}
}

// Seen describes the last answer that was news, if debug logs are written.
func (a *Asker) Seen() Seen { return a.seen }

// look notes what was seen of an answer that is news, if debug logs are written.
func (a *Asker) look(status int, header http.Header, body []byte) {
	if a.config.Logger.Core().Enabled(zap.DebugLevel) {
		a.seen = Seen{len(body), a.config.Rules.WhyNews(a.Request.Header(), status, header, body) + a.whyNotRemembered()}
	}
}

// Path returns the path that the client asked for, before any rewrite. The paths of its
// cookies refer to it.
func (e *Exchange) Path() string {
	return e.HTTP.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).URL.Path
}

// ClientLeft reports whether the client has left.
func (e *Exchange) ClientLeft() bool { return e.HTTP.Context().Err() != nil }
