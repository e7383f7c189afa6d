// Package parker parks HTTP requests at the proxy. It turns a backend that was
// written for plain polling into a long-poll and Server-Sent Events backend without
// changing the backend. Caddy holds a client's request while the backend has nothing
// new, and releases it as soon as something is published.
//
// The package registers the app parker, the handlers parker, parker_notify,
// parker_publish and parker_status, and the matcher parker_body. The path of one request
// is in parker.go.
package parker

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	_ "github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/asker"
	_ "github.com/caddy-parker/parker/internal/bodymatch"
	"github.com/caddy-parker/parker/internal/coalesce"
	_ "github.com/caddy-parker/parker/internal/command"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/identity"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/parking"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/stream"
)

func init() {
	caddy.RegisterModule(new(hub.App))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Notify))
}

// Handler parks polls while the backend has nothing new, and releases them when
// an event is published on one of their channels.
//
// Each request is forwarded to the backend first. An answer with news is streamed
// to the client unchanged. An answer that says "nothing new" is kept, and the
// request is parked; it occupies no backend connection while it is parked. An event
// without a message sends the request through the rest of the route again. An event
// with a message answers the request with that message. If the timeout passes
// first, the client gets the answer that the backend gave.
type Handler struct {
	// The channels that a request waits on. Placeholders are replaced for each
	// request. Default: the request's path without its leading slash.
	Channels []string `json:"channels,omitempty"`

	// Whether several sites may share the channels that are named by the path. It
	// can only be true if no channels are given. If false, a Caddyfile in which two
	// sites would share such channels is refused, and a warning is logged when
	// requests for two hosts wait on the same channel. Default: false.
	AcrossSites bool `json:"across_sites,omitempty"`

	// The methods of the requests that are held. If POST is one of them, request
	// bodies of up to `max_body` are kept and sent again with each replay.
	// Default: GET.
	Methods []string `json:"methods,omitempty"`

	// The rules that say which of the backend's answers are held. Default: answers
	// with status 204 or 304, with an empty body, or with the body `[]`, `{}` or
	// `null`.
	NothingNew *nothingnew.Rules `json:"nothing_new,omitempty"`

	// Whether browsers may keep the answers to GET requests, so that they ask for them with
	// If-None-Match. An answer with status 200 that does not stream gets
	// `Cache-Control: private, no-cache` in place of its own, keeps its ETag and
	// Last-Modified or gets the ETag of `unchanged`, and loses Pragma and Expires. Requires
	// `unchanged`. Default: false.
	Revalidate bool `json:"revalidate,omitempty"`

	// How long a request is held, counted from its arrival. It is shortened at
	// random by up to 10 %, so that requests that arrived together are not all
	// answered together. On HTTP/3 it is at most 25s, because HTTP/3 connections
	// are closed after 30s of silence. Default: 55s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// The status code of the answer if the timeout passes. Default: the client gets
	// the backend's nothing-new answer, with its own status code.
	TimeoutStatus int `json:"timeout_status,omitempty"`

	// How often to ask the backend again while requests are parked. Requests that
	// share a replay are asked for once. It must be at least 10ms. Default: never.
	Watch caddy.Duration `json:"watch,omitempty"`

	// The values by which requests may share an ask or a replay. Placeholders are
	// replaced for each request. Requests share if they have the same URL, method and
	// body, the same of these values, and the same header fields for content
	// negotiation, those that the answer's Vary field names included. Default:
	// requests share only if nothing differs that an answer could depend on, such as
	// a header field or the client address.
	Share []string `json:"share,omitempty"`

	// Whether requests of all clients for the same URL may share an ask or a replay,
	// as with `share`, but without any values. Set-Cookie fields are removed from
	// shared answers. Cannot be combined with `share`. Default: false.
	SharePublic bool `json:"share_public,omitempty"`

	// The names of query parameters that mean nothing, such as the `_` with which jQuery
	// makes each URL different. They are left out of what requests must agree on to share
	// an ask or a replay. The backend gets the URL unchanged. An answer that contains the
	// value of such a parameter, as JSONP does, is only for requests with the same URL.
	// Names are compared decoded, and their case matters. Default: none.
	IgnoreQuery []string `json:"ignore_query,omitempty"`

	// The maximum number of asks and replays of this handler that run at the backend
	// at once. Each counts until the header of its answer arrives. Further ones
	// queue. Default: 64.
	Asks int `json:"asks,omitempty"`

	// How long a nothing-new answer also answers later polls that share it, without
	// asking the backend, as long as no event is published on their channels.
	// Default: 0, which means that only polls that arrive while an ask is in flight
	// share its answer.
	Reuse caddy.Duration `json:"reuse,omitempty"`

	// When to ask the backend again after a wake-up that found nothing new, because
	// many applications answer a write before its result is visible. Requests that
	// share a replay are asked for once. Each time is counted from the ask that found
	// nothing new, and the times must be in ascending order. At first only a sample of
	// the requests is asked for again, and fewer if that never finds news. A single 0
	// turns this off. Default: 200ms, 1s, 3s.
	LookAgain []caddy.Duration `json:"look_again,omitempty"`

	// How long the release of a channel's requests takes. The requests are spread
	// over this time instead of released all at once. Default: 0.
	Spread caddy.Duration `json:"spread,omitempty"`

	// The maximum size of a request body that is kept for replays, and of an answer
	// that is checked for news, in bytes. A request with a longer body is not held. A
	// longer answer is news. Default: 64 KB.
	MaxBody int64 `json:"max_body,omitempty"`

	// How long to wait for the end of an answer after its header has arrived. An
	// answer that takes longer is news. Default: 250ms.
	MaxBodyTime caddy.Duration `json:"max_body_time,omitempty"`

	// The maximum number of parked requests of one client. A client is an IPv4
	// address, or the /64 network of an IPv6 address. Default: 0, which means no
	// limit.
	PerClient int `json:"per_client,omitempty"`

	// The maximum number of polls of one browser that are parked on one path over
	// HTTP/1.1, where browsers open only six connections to a site. One poll more
	// ends the poll that has been parked the longest, with its nothing-new answer, as
	// soon as that has been parked for a second. On all paths of a site together the
	// maximum is 5, so that one connection stays free. A browser is recognized by its
	// address, User-Agent and cookies. Without a cookie there is no limit. 0 means no
	// limit. Default: 4.
	PerBrowser *int `json:"per_browser,omitempty"`

	// If set, a newer poll with the same values and the same URL path ends the older
	// poll at once, with its nothing-new answer. Placeholders are replaced for each
	// request. This is for pages that poll by a timer without waiting for the answer
	// to their last poll. Default: off.
	Supersede []string `json:"supersede,omitempty"`

	// Whether the page polls by a timer, and does not wait for the answer to its last
	// poll. Then the newest poll of a browser for one URL and body takes the place of the
	// older one, which ends at once with its nothing-new answer, and a nothing-new answer
	// serves further polls as with `reuse`, by default up to the timeout. A browser is
	// recognized by its address, User-Agent and cookies. A poll without a cookie is not
	// held. Default: false.
	Timer bool `json:"timer,omitempty"`

	// What requests wait for. With `backend` they wait for news from the backend,
	// which is asked first. With `messages` they wait only for published messages.
	// The backend is then asked only for its full state, when a client resumes from a
	// position that is no longer known. So the backend cannot refuse a request: access
	// must be restricted before parker. Default: backend.
	Hold string `json:"hold,omitempty"`

	// What an event with a message does. With `message` the message is the answer.
	// With `replay` the request is replayed, as if the event had no message.
	// Default: message.
	Answer string `json:"answer,omitempty"`

	// How events are streamed to clients that accept text/event-stream.
	SSE *stream.Options `json:"sse,omitempty"`

	// The value of the label `handler` in metrics. Handlers with the same name are
	// counted together. Default: empty.
	Name string `json:"name,omitempty"`

	metrics    *metrics.Handler
	hub        hub.Hub
	replaced   context.Context // ends when another configuration has replaced this one
	polls      *poll.Config
	sender     identity.Options
	logger     *zap.Logger
	badChannel logging.Rarely
	full       logging.Rarely
	crossing   logging.Rarely

	named   sync.Once // guards inNamed
	inNamed bool      // the handler is part of a named route
}

// Notify publishes on its channels, without a message, when a request is
// answered as a write that succeeded.
type Notify struct {
	// The channels to publish on. Placeholders are replaced for each request.
	// Default: the request's path without its leading slash.
	Channels []string `json:"channels,omitempty"`

	// Whether a write for one host may wake requests for another host. It can only
	// be true if no channels are given. If false, a warning is logged when that
	// happens. Default: false.
	AcrossSites bool `json:"across_sites,omitempty"`

	// The methods of the requests that can be writes. Default: POST, PUT, PATCH and
	// DELETE.
	Methods []string `json:"methods,omitempty"`

	// The status codes that mean that a write succeeded. A number below 10 stands
	// for a class of codes, such as 2 for 2xx. Default: 2xx and 3xx, because forms
	// redirect after a POST.
	Status []int `json:"status,omitempty"`

	// Whether to add the position of the newest event on the channels to the route's
	// answers, as the header field Parker-Position. A page that makes requests anyway
	// sees when the position has changed, and polls only then. Default: false.
	Piggyback bool `json:"piggyback,omitempty"`

	hub        hub.Hub
	logger     *zap.Logger
	badChannel logging.Rarely
	crossing   logging.Rarely
}

// upperOr returns the methods in upper case, as Caddy's method matcher does, or the
// defaults if there are none.
func upperOr(methods []string, defaults ...string) []string {
	if len(methods) == 0 {
		return defaults
	}
	upper := make([]string, len(methods))
	for i, method := range methods {
		upper[i] = strings.ToUpper(method)
	}
	return upper
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker", New: func() caddy.Module { return new(Handler) }}
}

// Provision fills in the defaults and joins the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	h.replaced = ctx
	if h.hub, err = hub.Of(ctx); err != nil {
		return err
	}
	h.hub.Meetings.Waits(h, h.Channels)
	h.Methods = upperOr(h.Methods, http.MethodGet)
	if h.Timeout == 0 {
		h.Timeout = caddy.Duration(defaultTimeout)
	}
	if h.Asks == 0 {
		h.Asks = 64
	}
	if h.MaxBody == 0 {
		h.MaxBody = 64_000
	}
	h.MaxBodyTime = cmp.Or(h.MaxBodyTime, caddy.Duration(250*time.Millisecond))
	if h.LookAgain == nil {
		h.LookAgain = defaultLookAgain
	}
	if h.PerBrowser == nil {
		h.PerBrowser = new(defaultPerBrowser)
	}
	if err := h.check(); err != nil {
		return err
	}
	if h.NothingNew == nil {
		h.NothingNew = nothingnew.Default()
	}
	if err := h.NothingNew.Provision(h.MaxBody); err != nil {
		return fmt.Errorf("nothing_new: %w", err)
	}
	if h.SSE == nil {
		h.SSE = new(stream.Options)
	}
	if err := h.SSE.Provision(h.hub.MaxMessage); err != nil {
		return fmt.Errorf("sse: %w", err)
	}
	h.metrics = metrics.Of(h.Name)
	h.polls = h.configurePolls()
	h.sender = identity.Options{Supersede: h.Supersede, Timer: h.Timer, Share: &h.polls.Asking.Share, PerBrowser: *h.PerBrowser > 0, Rules: h.NothingNew}
	h.hintAtShare()
	return nil
}

// configurePolls returns the configuration of the handler's polls.
func (h *Handler) configurePolls() *poll.Config {
	return &poll.Config{
		TimeoutStatus: h.TimeoutStatus,
		Asking: asker.Config{
			Hub:       h.hub,
			Groups:    coalesce.New(h.hub.Lot, h.sharing()),
			Share:     coalesce.RuleOf(h.Share, h.SharePublic).Ignoring(h.IgnoreQuery),
			Rules:     h.NothingNew,
			Interest:  h.interest(),
			Asks:      semaphore.NewWeighted(int64(h.Asks)),
			Slow:      delay.New(asker.SlowAfter),
			MaxBody:   h.MaxBody,
			Patience:  asker.NewPatience(time.Duration(h.MaxBodyTime)),
			Heartbeat: h.SSE.HeartbeatTime,
			Remember:  coalesce.RuleOf(h.rememberBy(), false).Ignoring(h.IgnoreQuery),
			Metrics:   h.metrics,
			Logger:    logging.Sampled(h.logger),

			Revalidate: h.Revalidate,
		},
		Parking: parking.Config{
			Lot:         h.hub.Lot,
			Limits:      &h.hub.Limits,
			PerClient:   h.PerClient,
			PerBrowser:  *h.PerBrowser,
			MaxChannels: h.hub.MaxChannelsPerClient,
			Spread:      time.Duration(h.Spread),
		},
	}
}

// hintAtShare logs a hint if watch or reuse is set without share: then clients do not
// share asks, and these options save few.
func (h *Handler) hintAtShare() {
	if !h.polls.Asking.Share.Everything() {
		return
	}
	for option, interval := range map[string]caddy.Duration{"watch": h.Watch, "reuse": h.Reuse} {
		if interval > 0 {
			h.logger.Info("clients do not share asks; if answers are the same for all clients, add 'share public', otherwise 'share' with the values that answers depend on",
				zap.String("option", option), zap.Strings("channels", h.Channels))
		}
	}
}

// compares reports whether answers are compared with what clients have.
func (h *Handler) compares() bool { return h.NothingNew != nil && h.NothingNew.Unchanged != nil }

// needsPageLoads returns an option that works only if all page loads are seen, or "".
func (h *Handler) needsPageLoads() (option string) {
	switch {
	case h.NothingNew.Remember != nil:
		return "remember"
	case h.Revalidate:
		return "revalidate"
	}
	return ""
}

// rememberBy returns the values that tell clients apart for what they are remembered to
// have.
func (h *Handler) rememberBy() []string {
	if h.NothingNew == nil || h.NothingNew.Remember == nil {
		return nil
	}
	return h.NothingNew.Remember.Values
}

// interest returns which published events release the handler's requests, and how.
func (h *Handler) interest() lot.Interest {
	switch {
	case h.Hold == "messages":
		return lot.MessagesOnly
	case h.Answer == "replay":
		return lot.WakeUps
	}
	return lot.Messages
}

const (
	defaultTimeout    = 55 * time.Second
	defaultPerBrowser = 4
)

var defaultLookAgain = []caddy.Duration{caddy.Duration(200 * time.Millisecond), caddy.Duration(time.Second), caddy.Duration(3 * time.Second)}

// sharing returns the options by which the handler's requests share asks.
func (h *Handler) sharing() coalesce.Options {
	reuse := h.Reuse
	if h.Timer {
		reuse = cmp.Or(reuse, h.Timeout)
	}
	options := coalesce.Options{Reuse: time.Duration(reuse), Watch: time.Duration(h.Watch), Interest: h.interest(), Count: h.metrics.Groups}
	for _, after := range h.LookAgain {
		if after > 0 {
			options.LookAgain = append(options.LookAgain, time.Duration(after))
		}
	}
	return options
}

// CaddyModule returns the Caddy module information.
func (*Notify) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_notify", New: func() caddy.Module { return new(Notify) }}
}

// Provision fills in the defaults and joins the app.
func (n *Notify) Provision(ctx caddy.Context) (err error) {
	if n.AcrossSites && len(n.Channels) > 0 {
		return errAcrossSites
	}
	n.logger = ctx.Logger()
	n.Methods = upperOr(n.Methods, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
	if len(n.Status) == 0 {
		n.Status = []int{2, 3}
	}
	if n.hub, err = hub.Of(ctx); err != nil {
		return err
	}
	if !n.Piggyback { // with it, pages learn of events even if no request waits
		n.hub.Meetings.Publishes(n, n.Channels)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Notify)(nil)
	_ caddyhttp.MiddlewareHandler = (*Notify)(nil)
)
