// Package parker parks HTTP requests at the proxy: a backend written for plain
// polling becomes a long-poll backend without one changed line. Caddy holds the
// client's request while the backend has nothing new, and releases it the moment
// something is published.
//
// It registers the app parker and the handlers parker, parker_notify, parker_publish
// and parker_status. The story of one request is in parker.go.
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
	"github.com/caddy-parker/parker/internal/coalesce"
	_ "github.com/caddy-parker/parker/internal/command"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/poll"
)

func init() {
	caddy.RegisterModule(new(hub.App))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Notify))
	caddy.RegisterModule(new(Publish))
}

// Handler parks the polls of a backend that has nothing new, and releases them
// when one of their channels is published on.
//
// A request is forwarded first. What the backend answers with news streams
// straight through. An answer that says "nothing new" is kept, the request is
// parked, and the backend is free: nothing of it is held. A publish without a
// message has the request sent through the rest of the route again; one with a
// message is itself the answer. When the timeout passes, the client gets the very
// answer that the backend gave.
type Handler struct {
	// The channels a request waits on. Placeholders are replaced for each
	// request. Default: the request's path without its leading slash.
	Channels []string `json:"channels,omitempty"`

	// If no channels are given: whether the channels that the path names are meant
	// to be those of other sites, too. If false, a Caddyfile with two such sites is
	// refused, and a warning is logged when requests for two hosts wait on one
	// channel. Default: false.
	AcrossSites bool `json:"across_sites,omitempty"`

	// The methods of the requests that are held. With POST, request bodies of up
	// to `max_body` are kept and sent again. Default: GET.
	Methods []string `json:"methods,omitempty"`

	// Which of the backend's answers are held. Default: status 204 and 304, and
	// the bodies `[]`, `{}`, `null` and none at all.
	NothingNew *nothingnew.Rules `json:"nothing_new,omitempty"`

	// How long a request is held, counted from its arrival and shortened at
	// random by up to a tenth, so that requests that came together do not leave
	// together. At most 25s on HTTP/3, whose connections are cut at 30s of
	// silence. Default: 55s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// The status of the answer when the timeout passes. Default: the backend's
	// own nothing-new answer is given as it is.
	TimeoutStatus int `json:"timeout_status,omitempty"`

	// If set, how often to ask the backend again while requests are parked, once
	// for all that share a replay. At least 10ms. Default: never.
	Watch caddy.Duration `json:"watch,omitempty"`

	// Requests of one URL that agree on all of these values share one ask and
	// one replay, if they also agree on the method, the body and the fields that
	// select a form of the answer, Vary among them. Default: only requests share
	// that nothing tells apart, neither a header field nor the client's address.
	Share []string `json:"share,omitempty"`

	// Let all requests of one URL share as with `share`, from any client.
	// Set-Cookie is taken out of what is shared.
	SharePublic bool `json:"share_public,omitempty"`

	// How many asks and replays of this handler may be at the backend at once,
	// each until the header of its answer is there. The rest queue. Default: 64.
	Asks int `json:"asks,omitempty"`

	// How long a nothing-new answer serves further polls that share it without
	// asking, as long as none of their channels moved. Default: 0, only polls
	// that meet while an ask is in flight share it.
	Reuse caddy.Duration `json:"reuse,omitempty"`

	// When to ask the backend again after a wake-up that found nothing new, once for
	// all that share a replay: applications answer a write before it can be seen. Each
	// is counted from the ask that was in vain, in ascending order. For one event few
	// groups of requests do so at first, and fewer where it never brings news. A single
	// 0 stands for never. Default: 200ms, 1s, 3s.
	LookAgain []caddy.Duration `json:"look_again,omitempty"`

	// Release the requests of a channel over this long, not all in one burst.
	// Default: 0.
	Spread caddy.Duration `json:"spread,omitempty"`

	// How many bytes of a request's body are kept for a replay, and how much of
	// an answer is looked at. A longer request is not held, a longer answer is news.
	// Default: 64 KB.
	MaxBody int64 `json:"max_body,omitempty"`

	// How long an answer is looked at: one that has not ended so long after its header
	// is news. Default: 250ms.
	MaxBodyTime caddy.Duration `json:"max_body_time,omitempty"`

	// How many requests of one client are parked at most. A client is an IPv4
	// address, or the /64 network of an IPv6 address. Default: 0, no limit.
	PerClient int `json:"per_client,omitempty"`

	// How many polls of one browser are parked at most on one path over HTTP/1.1,
	// where it has six connections for a site. One more ends the one that has been
	// parked the longest, once that has been so for a second, with its nothing-new
	// answer. On all paths of a site together it is 5, so that one connection is left.
	// A browser is known by its address, User-Agent and cookies; without a cookie it is
	// not. 0: no limit. Default: 4.
	PerBrowser *int `json:"per_browser,omitempty"`

	// If set, a newer poll with the same values here and the same URL path ends
	// the older one at once, with its nothing-new answer. For pages that poll by
	// a timer without waiting for the last poll's answer. Default: off.
	Supersede []string `json:"supersede,omitempty"`

	// What requests wait for. With `backend` it is news of the backend, which is
	// asked first. With `messages` it is published messages alone: the backend is
	// not asked, but for its full state where a client went on from a position that
	// is forgotten. So nothing protects such a route but what stands before parker.
	// Default: backend.
	Hold string `json:"hold,omitempty"`

	// What a publish with a message does: `message`, it is itself the answer;
	// `replay`, it wakes the request as one without a message does.
	// Default: message.
	Answer string `json:"answer,omitempty"`

	// How events are streamed to clients that accept text/event-stream.
	SSE *poll.Streams `json:"sse,omitempty"`

	// What metrics call the handler. Those of one name, or of none, are counted
	// together.
	Name string `json:"name,omitempty"`

	metrics    *metrics.Handler
	hub        hub.Hub
	replaced   context.Context // it ends when another configuration is in force
	polls      *poll.Config
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

	// If no channels are given: whether a write for one host is meant to wake
	// requests for another. If false, a warning is logged when it does.
	// Default: false.
	AcrossSites bool `json:"across_sites,omitempty"`

	// The methods of the requests that can be a write. Default: POST, PUT, PATCH
	// and DELETE.
	Methods []string `json:"methods,omitempty"`

	// The status codes that say that it was one; a code under 10 stands for its
	// class, such as 2 for 2xx. Default: 2xx and 3xx, as forms redirect after a
	// POST.
	Status []int `json:"status,omitempty"`

	// Put the position of the newest event on the channels into the answers of the
	// route, as Parker-Position: a page that makes requests anyway sees that it has
	// changed, and polls only then. Default: false.
	Piggyback bool `json:"piggyback,omitempty"`

	hub        hub.Hub
	logger     *zap.Logger
	badChannel logging.Rarely
	crossing   logging.Rarely
}

// Publish is the hook at which applications publish, and see who waits.
//
// `POST /<channel>` publishes the request's body, or without one only wakes
// those who wait. `GET /<channel>` tells how many wait, `GET /` lists the
// channels. Serve it on an internal address.
type Publish struct {
	// The tokens that open the hook, each presented as an Authorization: Bearer
	// field. Global placeholders such as {env.TOKEN} are replaced. Default: none
	// is asked for.
	Tokens []string `json:"tokens,omitempty"`

	// The addresses that may use the hook, as CIDR ranges or single addresses,
	// compared with the direct peer's. Unix sockets may always. Default: loopback
	// addresses.
	Allow []string `json:"allow,omitempty"`

	hook *hook.Hook
}

// upperOr is the methods in upper case, as Caddy's matcher has them, or the
// default ones.
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
		h.SSE = new(poll.Streams)
	}
	if err := h.SSE.Provision(h.hub.MaxMessage); err != nil {
		return fmt.Errorf("sse: %w", err)
	}
	h.metrics = metrics.Of(h.Name)
	h.polls = &poll.Config{
		Lot:           h.hub.Lot,
		Groups:        coalesce.New(h.hub.Lot, h.sharing()),
		Rules:         h.NothingNew,
		Asks:          semaphore.NewWeighted(int64(h.Asks)),
		Slow:          delay.New(poll.SlowAfter),
		MaxBody:       h.MaxBody,
		MaxEvent:      max(h.MaxBody, h.hub.MaxMessage),
		Patience:      poll.NewPatience(time.Duration(h.MaxBodyTime)),
		Share:         coalesce.RuleOf(h.Share, h.SharePublic),
		Spread:        time.Duration(h.Spread),
		TimeoutStatus: h.TimeoutStatus,
		Interest:      h.interest(),
		Broker:        &h.hub.Broker,
		Streams:       h.SSE,
		Stopping:      h.hub.Stopping,
		Memory:        &h.hub.Memory,
		PerClient:     h.PerClient,
		Clients:       &h.hub.Clients,
		PerBrowser:    *h.PerBrowser,
		Browsers:      &h.hub.Browsers,
		MaxChannels:   h.hub.MaxChannelsPerClient,
		Channels:      &h.hub.Spread,
		Newest:        &h.hub.NewestPolls,
		Announce:      h.hub.Announce,
		Metrics:       h.metrics,
		Logger:        logging.Sampled(h.logger),
	}
	h.hintAtShare()
	return nil
}

// hintAtShare logs a hint if an option that saves asks saves few, because nothing says
// what clients have in common.
func (h *Handler) hintAtShare() {
	if !h.polls.Share.Everything() {
		return
	}
	for option, interval := range map[string]caddy.Duration{"watch": h.Watch, "reuse": h.Reuse} {
		if interval > 0 {
			h.logger.Info("each client is asked for by itself; if answers are the same for all clients, add 'share public', or 'share' with the values that answers depend on",
				zap.String("option", option), zap.Strings("channels", h.Channels))
		}
	}
}

// interest says what published events are to the handler's requests.
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

// sharing says how the handler's requests share what the backend is asked.
func (h *Handler) sharing() coalesce.Options {
	options := coalesce.Options{Reuse: time.Duration(h.Reuse), Watch: time.Duration(h.Watch), Interest: h.interest(), Count: h.metrics.Groups}
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
	if !n.Piggyback { // with it, pages hear of what is published
		n.hub.Meetings.Publishes(n, n.Channels)
	}
	return nil
}

// CaddyModule returns the Caddy module information.
func (*Publish) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_publish", New: func() caddy.Module { return new(Publish) }}
}

// Provision sets up the hook and joins the app.
func (p *Publish) Provision(ctx caddy.Context) error {
	board, err := hub.Of(ctx)
	if err != nil {
		return err
	}
	p.hook, err = hook.New(board, p.Tokens, p.Allow, board.MaxMessage)
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Notify)(nil)
	_ caddyhttp.MiddlewareHandler = (*Notify)(nil)
	_ caddy.Provisioner           = (*Publish)(nil)
	_ caddyhttp.MiddlewareHandler = (*Publish)(nil)
)
