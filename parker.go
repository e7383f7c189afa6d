package parker

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/channels"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/notify"
	"github.com/caddy-parker/parker/internal/pageload"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/reload"
	"github.com/caddy-parker/parker/internal/response"
	"github.com/caddy-parker/parker/internal/resume"
	"github.com/caddy-parker/parker/internal/sites"
	"github.com/caddy-parker/parker/internal/stream"
)

// ServeHTTP asks the backend, and parks the request while the backend has nothing
// new. Once the request is released, it is answered with the message, or the backend
// is asked again.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	field.HideOwn(r)
	loads := h.compares() && pageload.IsNew(r)
	p := h.admit(w, r, next)
	if p == nil {
		return h.pass(w, r, next)
	}
	if loads {
		pageload.Note(h.hub, r)
	}
	defer h.leave(p, r)
	if p.Streaming() != nil {
		return h.stream(p, r)
	}

	reply := p.First()
	if over, err := missed(p, reply); over {
		return err
	}
	for reply.Kind == asker.NothingNew || reply.Kind == asker.Refused {
		if why, ok := p.AtOnce(); ok && reply.Kind == asker.NothingNew {
			return p.GiveAtOnce(why)
		}
		released, stayed := p.Hold()
		if over, err := h.released(p, r, released, stayed); over {
			return err
		}
		reply = p.Again()
	}
	return p.Give(reply)
}

// pass forwards a request that is not held.
func (h *Handler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return notify.Watch{Announce: h.hub.Announce, Attend: h.SSE.Attend}.Pass(w, r, next)
}

// missed answers a poll with the events that its client has missed, unless the backend
// has news. It returns over if the poll is answered.
func missed(p *poll.Poll, reply asker.Reply) (over bool, err error) {
	if reply.Kind != asker.NothingNew {
		return false, nil
	}
	events, ok := p.Missed()
	if !ok {
		return false, nil
	}
	return true, p.GiveMissed(events)
}

// released continues a poll that was parked. It returns over if the client has its
// answer or another configuration has taken the poll. Otherwise the backend must be
// asked again.
func (h *Handler) released(p *poll.Poll, r *http.Request, released lot.Outcome, stayed bool) (over bool, err error) {
	if !stayed {
		return true, p.Give(asker.Reply{Kind: asker.Left})
	}
	if why, over := ends(released.Cause); over {
		return true, p.GiveKept(why)
	}
	switch released.Cause {
	case lot.Published:
		switch event := released.Event; {
		case event.Message != nil:
			return true, p.GiveMessage(event)
		case event.Lost():
			p.Lose(event.Position)
		}
		p.Released(answer.Replay)
	case lot.Woken:
		p.Released(answer.Watch)
	case lot.Looked:
		p.Released(answer.Replay)
	case lot.TimedOut:
		if !p.Asker.Retries() {
			return true, p.Give(asker.Reply{Kind: asker.TimedOut})
		}
	}
	return h.move(p, r, nil, false), nil
}

// stream does the same as ServeHTTP for a client that wants an event stream: each
// release becomes an event, and then the stream is parked again.
func (h *Handler) stream(p *poll.Poll, r *http.Request) error {
	s, first := stream.Start(p, h.SSE)
	if s == nil {
		return p.Give(first)
	}
	defer s.Close(p)
	if s.Full() {
		p.Released(answer.Full)
		return nil
	}
	for !s.Ended() {
		released, stayed := p.Hold()
		if !stayed {
			return nil
		}
		if why, over := ends(released.Cause); over {
			p.Released(why)
			return nil
		}
		switch released.Cause {
		case lot.Published:
			if h.move(p, r, s, false) {
				return nil
			}
			p.Released(answer.Replay)
			s.Take()
		case lot.Woken:
			if h.move(p, r, s, true) {
				return nil
			}
			p.Released(answer.Watch)
			s.Replay()
		case lot.Looked:
			if h.move(p, r, s, true) {
				return nil
			}
			p.Released(answer.Replay)
			s.Replay()
		case lot.TimedOut:
			switch {
			case p.Space.Over():
				p.Released(answer.Timeout)
				return nil
			case h.move(p, r, s, p.Asker.Retries()):
				return nil
			case !p.Asker.Retries():
				s.GoOn()
			default:
				s.Replay()
			}
		}
	}
	return nil
}

// ends returns over if a release for this cause ends the request, and the release that
// the answer reports.
func ends(cause lot.Cause) (why answer.Release, over bool) {
	switch cause {
	case lot.Superseded:
		return answer.Timeout, true
	case lot.Full:
		return answer.Full, true
	case lot.Stopped:
		return answer.Stop, true
	}
	return "", false
}

// move hands a poll that was parked before a reload to the new configuration. It
// reports whether the new configuration has taken the poll.
func (h *Handler) move(p *poll.Poll, r *http.Request, s poll.Stream, again bool) bool {
	if h.replaced.Err() == nil {
		return false
	}
	server := reload.Of(r)
	return server != nil && p.Move(server, s, again)
}

// unfit returns why a request cannot be held because of its kind, or "" if it can.
func (h *Handler) unfit(r *http.Request) (why answer.Detail) {
	switch {
	case httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade"):
		return answer.Upgrade
	case !slices.Contains(h.Methods, r.Method):
		return answer.Method
	case notify.IsWrite(r): // each replay would be one more
		return answer.Write
	case caddyhttp.IsIncremental(r.Header):
		return answer.Incremental
	}
	return ""
}

// notHeld adds to the answer's header why a request is not held. It is called before
// the backend is asked.
func (h *Handler) notHeld(w http.ResponseWriter, r *http.Request, why answer.Detail) {
	delete(w.Header(), "Parker-Status") // an outer handler's, which does not hold the request either
	answer.Report{Release: answer.None, Detail: why, Wait: -1}.Put(w.Header())
	h.polls.DebugNotHeld(h.polls.IDOf(r), why)
}

// admit starts a poll, or returns nil if the request cannot be held by this handler.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) *poll.Poll {
	handover := poll.HandoverOf(r)
	if why := h.unfit(r); why != "" {
		h.notHeld(w, r, why)
		return nil
	}
	if asker.HeldFurtherOut(r) {
		return nil
	}
	delete(w.Header(), "Parker-Status") // an outer handler's, which does not hold the request
	waitsOn, err := channels.Of(r, h.Channels)
	if err != nil {
		h.badChannel.Warn(h.logger, "request not held", err)
		h.notHeld(w, r, answer.Channel)
		return nil
	}
	if handover.Passes(waitsOn) {
		return nil
	}
	if len(h.Channels) == 0 && !h.AcrossSites {
		h.warnOfCrossing(waitsOn[0], r.Host)
	}
	id := h.polls.IDOf(r)
	resumes := resume.Of(r)
	streaming := h.streaming(r)
	kept, err := ask.Keep(r, h.MaxBody)
	if err != nil {
		h.notHeld(w, r, answer.Body)
		return nil
	}
	wait, ok := field.Wait(r.Header)
	if !ok {
		wait = -1
	}
	return h.polls.New(poll.Request{
		Exchange: asker.Exchange{
			Writer:   w,
			Next:     next,
			HTTP:     r,
			Request:  kept,
			Limits:   response.LimitsOf(w, r),
			Channels: waitsOn,
			Alone:    h.inNamedRoute(r),
		},
		Client:   h.sender.Client(r, kept, streaming != nil),
		Memory:   h.sender.Memory(r, streaming != nil),
		Unknown:  streaming == nil && h.sender.Unknown(r),
		ID:       id,
		Stream:   streaming,
		Resume:   resumes,
		Wait:     wait,
		Timeout:  h.timeout(r),
		Handover: handover,
	})
}

// streaming returns what an event stream needs, or nil if the client does not want one. It
// makes the request acceptable to backends that do not know event streams.
func (h *Handler) streaming(r *http.Request) *poll.Streaming {
	wanted, only := stream.Wanted(r)
	if !wanted {
		return nil
	}
	stream.Accept(r.Header)
	streaming := h.SSE.Begin()
	streaming.Only = only
	return streaming
}

// warnOfCrossing logs a warning if requests for another host wait on the same channel,
// which is named by the path alone.
func (h *Handler) warnOfCrossing(channel, host string) {
	if other := h.hub.Hosts.Wait(channel, host); other != "" {
		h.crossing.Warn(h.logger, "requests for two hosts wait on one channel", sites.CrossingError(channel, host, other))
	}
}

// inNamedRoute reports whether the handler is part of a named route, so that a
// different route may follow it for each invoke. It is found out with the first
// request, because a server has no named routes before it serves.
func (h *Handler) inNamedRoute(r *http.Request) bool {
	h.named.Do(func() {
		server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
		h.inNamed = ok && sites.InNamedRoute(server, h)
	})
	return h.inNamed
}

// leave ends the poll, counts it, and provides the access log fields and placeholders
// that describe it.
func (h *Handler) leave(p *poll.Poll, r *http.Request) {
	p.Close()
	if p.Asker.Overlapped() {
		return
	}
	if p.Moved() {
		logging.SkipAccessLog(r)
	} else {
		h.metrics.Answered(&p.Report)
		if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
			r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields).Set(zap.Object("parker", p))
		}
	}
	if p.Report.Release == answer.Full {
		h.full.Warn(h.logger, "request not held", p.Space.Full())
	}
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	replacer.Map(func(key string) (any, bool) {
		switch key {
		case "http.parker.release":
			return string(p.Report.Release), true
		case "http.parker.park":
			return answer.Seconds(p.Report.Parked), true
		case "http.parker.passes":
			return p.Asker.Asks, true
		case "http.parker.channels":
			return strings.Join(p.Asker.Channels, " "), true
		}
		return nil, false
	})
}

// maxTimeoutHTTP3 is below the 30 s of silence after which QUIC connections are
// closed.
const maxTimeoutHTTP3 = 25 * time.Second

// HoldsMethods returns the methods of the requests that are held.
func (h *Handler) HoldsMethods() []string { return upperOr(h.Methods, http.MethodGet) }

// timeout returns how long the request may be held.
func (h *Handler) timeout(r *http.Request) time.Duration {
	timeout := time.Duration(h.Timeout)
	if r.ProtoMajor == 3 {
		timeout = min(timeout, maxTimeoutHTTP3)
	}
	return timeout
}

// ServeHTTP forwards the request, and publishes if it is a write that succeeds.
func (n *Notify) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	field.HideOwn(r)
	if write := slices.Contains(n.Methods, r.Method); write || n.Piggyback {
		return n.observe(w, r, next, write)
	}
	return notify.Watch{Announce: n.hub.Announce}.Pass(w, r, next)
}

// observe forwards the request and publishes if it is a write that succeeds. With
// Piggyback it adds the position of the newest event to the answer.
func (n *Notify) observe(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, write bool) error {
	// The channels are determined first, because the route may rewrite the request.
	publishesOn, err := channels.Of(r, n.Channels)
	if err != nil {
		n.badChannel.Warn(n.logger, "write not published on one of its channels", err)
	}
	watch := notify.Watch{Announce: n.hub.Announce}
	if len(publishesOn) == 0 {
		return watch.Pass(w, r, next)
	}
	if n.Piggyback {
		// The position is read before the backend is asked, so that events that are
		// published meanwhile count as news.
		watch.Position = n.hub.Newest(publishesOn).String()
	}
	if !write {
		return watch.Pass(w, r, next)
	}
	if len(n.Channels) == 0 && !n.AcrossSites {
		if other := n.hub.Hosts.Other(publishesOn[0], r.Host); other != "" {
			n.crossing.Warn(n.logger, "write for one host wakes requests for another host", sites.CrossingError(publishesOn[0], r.Host, other))
		}
	}
	publish := func() { n.hub.Wrote(publishesOn) }
	return watch.PassWrite(w, r, next, n.wrote, publish)
}

// wrote reports whether the status of an answer means that a write succeeded.
func (n *Notify) wrote(status int) bool {
	return slices.ContainsFunc(n.Status, func(configured int) bool {
		return caddyhttp.StatusCodeMatches(status, configured)
	})
}
