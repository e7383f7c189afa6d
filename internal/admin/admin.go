// Package admin adds parker's endpoints to Caddy's admin API, below /parker/.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/status"
)

func init() {
	caddy.RegisterModule(new(API))
}

// API is an admin module with these endpoints:
//
//	GET    /parker/                  returns totals and the state of the broker
//	GET    /parker/status            streams the same figures as the status page, each second
//	GET    /parker/channels          lists the channels with waiting requests
//	GET    /parker/channels/<name>   lists the waiting requests of a channel
//	POST   /parker/channels/<name>   publishes on a channel, as the hook does
//	DELETE /parker/channels/<name>   answers all parked requests of a channel as at the timeout
//	GET    /parker/advice            says what parker_observe has seen, and how to configure parker for it
//
// Lists are paged: ?limit= is the size of a page (100 by default, at most 1000), and
// ?after= takes the value of `next` of the page before. ?prefix= filters channels. A
// channel whose name cannot be part of a path is given as
// /parker/channels?channel=<name>.
type API struct {
	configuration context.Context
}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.parker", New: func() caddy.Module { return new(API) }}
}

// Provision implements [caddy.Provisioner].
func (a *API) Provision(ctx caddy.Context) error {
	a.configuration = ctx
	return nil
}

// Routes implements [caddy.AdminRouter].
func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/parker/", Handler: discarding(with(totals))},
		{Pattern: "/parker/advice", Handler: discarding(advice)},
		{Pattern: "/parker/status", Handler: discarding(a.stream)},
		{Pattern: "/parker/channels", Handler: discarding(with(channels))},
		{Pattern: "/parker/channels/", Handler: discarding(with(channel))},
	}
}

// discarding wraps a handler so that its errors also reach clients that send the whole
// body before they read the answer. Caddy writes the answer after the handler returns.
func discarding(handle caddy.AdminHandlerFunc) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		err := handle(w, r)
		if err != nil {
			hook.Discard(w, r)
		}
		return err
	})
}

var errNotConfigured = refuse(http.StatusNotFound, "parker is not configured")

// with returns an admin handler that encodes the result of handle as JSON. It answers
// with 404 if parker is not configured.
func with(handle func(hub.Hub, http.ResponseWriter, *http.Request) (any, error)) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		h, ok := hub.Current()
		if !ok {
			return errNotConfigured
		}
		answer, err := handle(h, w, r)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		if published, ok := answer.(hook.Published); ok {
			w.WriteHeader(published.Status())
		}
		return json.NewEncoder(w).Encode(answer)
	}
}

func (a *API) stream(w http.ResponseWriter, r *http.Request) error {
	h, ok := hub.Current()
	if !ok {
		return errNotConfigured
	}
	if err := only(r, http.MethodGet); err != nil {
		return err
	}
	status.Stream(w, r, a.configuration, h.Stopping)
	return nil
}

func refuse(status int, message string) error {
	return caddy.APIError{HTTPStatus: status, Err: errors.New(message)}
}

func only(r *http.Request, methods ...string) error {
	if slices.Contains(methods, r.Method) {
		return nil
	}
	return refuse(http.StatusMethodNotAllowed, "method not allowed")
}

// Totals holds the figures of this process.
type Totals struct {
	Parked   int           `json:"parked"`   // parked requests and open streams
	Channels int           `json:"channels"` // channels with waiting requests
	Position string        `json:"position"`
	Broker   status.Broker `json:"broker"`
}

func totals(h hub.Hub, _ http.ResponseWriter, r *http.Request) (any, error) {
	if r.URL.Path != "/parker/" {
		return nil, refuse(http.StatusNotFound, "no such endpoint")
	}
	if err := only(r, http.MethodGet); err != nil {
		return nil, err
	}
	return Totals{
		Parked:   h.Lot.Parked(),
		Channels: h.Lot.Channels(),
		Position: h.Position().String(),
		Broker:   status.BrokerOf(h.Broker.Health()),
	}, nil
}

// Channels is a page of channels.
type Channels struct {
	Channels []lot.ChannelWaiting `json:"channels"`
	Next     string               `json:"next,omitempty"`
}

func channels(h hub.Hub, w http.ResponseWriter, r *http.Request) (any, error) {
	if r.URL.Query().Has("channel") {
		return channel(h, w, r)
	}
	if err := only(r, http.MethodGet); err != nil {
		return nil, err
	}
	after, limit, refusal := hook.PageOf(r.URL.Query())
	if refusal != nil {
		return nil, refuse(refusal.Status, refusal.Detail)
	}
	list := h.WaitingAfter(r.URL.Query().Get("prefix"), after, limit+1)
	answer := Channels{Channels: append([]lot.ChannelWaiting{}, list[:min(limit, len(list))]...)}
	if len(list) > limit {
		answer.Next = list[limit-1].Channel
	}
	return answer, nil
}

// Channel is a page of the waiting requests of a channel.
type Channel struct {
	lot.ChannelWaiting
	Newest   string    `json:"newest"` // the position of the newest event in history
	Requests []Request `json:"requests"`
	Next     string    `json:"next,omitempty"`
}

// Request is a waiting request. Its query is not shown, because it may contain secrets.
type Request struct {
	Method string  `json:"method"`
	Path   string  `json:"path"`
	Remote string  `json:"remote"`
	Age    float64 `json:"age_seconds"`
	Stream bool    `json:"stream,omitempty"`
}

// Released is the answer to a DELETE request.
type Released struct {
	Channel  string `json:"channel"`
	Released int    `json:"released"`
}

func channel(h hub.Hub, w http.ResponseWriter, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.URL.Path, "/parker/channels/")
	if query := r.URL.Query(); query.Has("channel") {
		name = query.Get("channel")
	}
	if err := brokers.CheckChannel(name); err != nil {
		return nil, refuse(http.StatusBadRequest, err.Error())
	}
	switch r.Method {
	case http.MethodPost:
		return publish(h, w, r, name)
	case http.MethodDelete:
		return Released{name, h.Lot.End(name)}, nil
	}
	if err := only(r, http.MethodGet); err != nil {
		return nil, err
	}
	after, limit, refusal := hook.PageOf(r.URL.Query())
	if refusal != nil {
		return nil, refuse(refusal.Status, refusal.Detail)
	}
	skip := 0
	if after != "" {
		var err error
		if skip, err = strconv.Atoi(after); err != nil || skip < 0 {
			return nil, refuse(http.StatusBadRequest, "after must be the value of next of the page before")
		}
	}
	answer := Channel{
		ChannelWaiting: lot.ChannelWaiting{Channel: name, Waiting: h.Waiting(name)},
		Newest:         h.Newest([]string{name}).String(),
		Requests:       []Request{},
	}
	at := 0
	h.Lot.EachOn(name, func(about any, stream bool) bool {
		if at++; at <= skip {
			return true
		}
		if len(answer.Requests) == limit {
			answer.Next = fmt.Sprint(skip + limit)
			return false
		}
		d := about.(*poll.Description)
		answer.Requests = append(answer.Requests, Request{d.Method, d.Path, d.Remote, time.Since(d.Came).Seconds(), stream})
		return true
	})
	return answer, nil
}

func publish(h hub.Hub, w http.ResponseWriter, r *http.Request, name string) (any, error) {
	came, refusal := hook.Publish(w, r, h.FromAdmin(), name, h.MaxMessage)
	if refusal != nil {
		return nil, refuse(refusal.Status, refusal.Detail)
	}
	return came, nil
}

// Interface guards
var (
	_ caddy.AdminRouter = (*API)(nil)
	_ caddy.Provisioner = (*API)(nil)
)
