package parker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/notify"
	"github.com/caddy-parker/parker/internal/poll"
)

// ServeHTTP is the one story: ask the backend; while it has nothing new, park;
// once released, answer with the message or ask again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	p := h.admit(w, r, next)
	if p == nil {
		return notify.Pass(w, r, next, h.app.announce)
	}
	defer h.leave(p, r)

	reply := p.First()
	for reply.Kind == poll.NothingNew || reply.Kind == poll.Refused {
		if p.Plain() {
			return p.GiveKept(answer.None)
		}
		released, stayed := p.Park()
		if !stayed {
			return p.Give(poll.Reply{Kind: poll.Left})
		}
		switch released.Cause {
		case lot.Published:
			if released.Event.Message != nil {
				return p.GiveMessage(released.Event)
			}
			p.Released(answer.Replay)
		case lot.Woken:
			p.Released(answer.Watch)
		case lot.TimedOut:
			if !p.Retries() {
				return p.Give(poll.Reply{Kind: poll.TimedOut})
			}
		case lot.Superseded:
			return p.GiveKept(answer.Timeout)
		case lot.Full:
			return p.GiveKept(answer.Full)
		case lot.Stopped:
			return p.GiveKept(answer.Stop)
		}
		reply = p.Again()
	}
	return p.Give(reply)
}

// holds tells whether a request is of a kind that can be held.
func (h *Handler) holds(r *http.Request) bool {
	return slices.Contains(h.Methods, r.Method) && !caddyhttp.IsIncremental(r.Header) &&
		!httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// admit starts a poll, if the request can be held. A poll that cannot is told so.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) *poll.Poll {
	if !h.holds(r) {
		return nil
	}
	notHeld := answer.Stamp{Release: answer.None, Wait: -1}
	channels, err := channelsOf(r, h.Channels)
	if err != nil {
		h.badChannel.warn(h.logger, "the request is not held", err)
		notHeld.Put(w.Header())
		return nil
	}
	kept, err := backend.Keep(r, h.MaxBody)
	if err != nil {
		notHeld.Put(w.Header())
		return nil
	}
	wait, ok := field.Wait(r.Header)
	if !ok {
		wait = -1
	}
	clientIP, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return h.line.New(poll.Request{
		Client: w, Next: next, Kept: kept, HTTP: r,
		Channels:  channels,
		Wait:      wait,
		Timeout:   h.timeout(r),
		ClientIP:  clientIP,
		Supersede: h.supersedeKey(r),
	})
}

// leave ends the poll, and says for logs how it went.
func (h *Handler) leave(p *poll.Poll, r *http.Request) {
	p.Close()
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	replacer.Map(func(key string) (any, bool) {
		switch key {
		case "http.parker.release":
			return string(p.Release()), true
		case "http.parker.park":
			return answer.Seconds(p.Parked()), true
		case "http.parker.passes":
			return p.Passes(), true
		case "http.parker.channels":
			return strings.Join(p.Channels(), " "), true
		}
		return nil, false
	})
}

// maxTimeoutHTTP3 stays below the 30 s of silence after which QUIC connections
// are cut.
const maxTimeoutHTTP3 = 25 * time.Second

// timeout is how long the request may be held.
func (h *Handler) timeout(r *http.Request) time.Duration {
	timeout := time.Duration(h.Timeout)
	if r.ProtoMajor == 3 {
		timeout = min(timeout, maxTimeoutHTTP3)
	}
	return timeout
}

// supersedeKey digests what makes a newer poll take the place of this one. There
// is none where every placeholder came out empty: that would be everybody's.
func (h *Handler) supersedeKey(r *http.Request) poll.Key {
	if len(h.Supersede) == 0 {
		return poll.Key{}
	}
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	parts := []string{r.Host, r.URL.Path}
	empty := true
	for _, value := range h.Supersede {
		value = replacer.ReplaceAll(value, "")
		empty = empty && value == ""
		parts = append(parts, value)
	}
	if empty {
		return poll.Key{}
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q", parts))
}

// ServeHTTP publishes when the request was a write that succeeded.
func (n *Notify) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !slices.Contains(n.Methods, r.Method) {
		return notify.Pass(w, r, next, n.app.announce)
	}
	// The route may rewrite the request: what it was counts.
	channels, err := channelsOf(r, n.Channels)
	if err != nil {
		n.badChannel.warn(n.logger, "the write is not published", err)
		return notify.Pass(w, r, next, n.app.announce)
	}
	publish := func() { n.app.announce(channels) }
	return notify.PassWrite(w, r, next, n.wrote, publish, n.app.announce)
}

// wrote tells whether an answer's status says that the write was done.
func (n *Notify) wrote(status int) bool {
	return slices.ContainsFunc(n.Status, func(configured int) bool {
		return caddyhttp.StatusCodeMatches(status, configured)
	})
}

// ServeHTTP is the hook; it ends the route.
func (p *Publish) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	p.hook.ServeHTTP(w, r)
	return nil
}

// announce publishes on channels without a message. Names that are no channel's
// come from a backend's answer, and are left out.
func (a *App) announce(channels []string) {
	for _, channel := range channels {
		if err := brokers.CheckChannel(channel); err != nil {
			a.badChannel.warn(a.logger, "the backend's announcement is not published", err)
			continue
		}
		// The hub has logged what went wrong.
		_, _, _ = a.hub.Publish(context.Background(), channel, nil)
	}
}

// channelsOf are the channels that the templates name for a request: by default
// its path without the leading slash.
func channelsOf(r *http.Request, templates []string) ([]string, error) {
	if len(templates) == 0 {
		channel := strings.TrimPrefix(r.URL.Path, "/")
		return []string{channel}, brokers.CheckChannel(channel)
	}
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	channels := make([]string, 0, len(templates))
	for _, template := range templates {
		channel := replacer.ReplaceAll(template, "")
		if err := brokers.CheckChannel(channel); err != nil {
			return nil, fmt.Errorf("%s: %w", template, err)
		}
		if !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	return channels, nil
}

// warnings are logged once a minute at most.
type warnings struct {
	next atomic.Int64 // Unix time in nanoseconds
}

func (s *warnings) warn(logger *zap.Logger, message string, err error) {
	now := time.Now()
	next := s.next.Load()
	if now.UnixNano() >= next && s.next.CompareAndSwap(next, now.Add(time.Minute).UnixNano()) {
		logger.Warn(message, zap.Error(err))
	}
}
