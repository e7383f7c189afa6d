// Package observe is the handler parker_observe, which watches the traffic of a running Caddy
// for package advise.
//
// The handler only copies, and never waits: a goroutine of its own decodes what was copied
// and feeds the analysis. If that is too slow, requests are left out and counted.
package observe

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/poll"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler watches requests and their answers, so that `caddy parker advise` and
// `GET /parker/advice` of the admin API can say which of them are polls and how parker should
// be configured for them. Requests and answers pass unchanged.
//
// All handlers of a process feed one analysis, which ends when no configuration has such a
// handler any more. Its memory is bounded. Cookies, credentials and addresses are replaced by
// digests with a random key.
type Handler struct {
	watcher *watcher
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_observe", New: func() caddy.Module { return new(Handler) }}
}

// Provision joins the analysis of this process.
func (h *Handler) Provision(caddy.Context) (err error) {
	h.watcher, err = join()
	return err
}

// Cleanup leaves the analysis.
func (h *Handler) Cleanup() error {
	if h.watcher == nil {
		return nil
	}
	return leave()
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_observe [<matcher>]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("unrecognized subdirective '%s': parker_observe has none", d.Val())
	}
	return nil
}

// observed is the variable of a request that says that it is watched already.
const observed = "parker_observed"

// ServeHTTP passes the request on, and copies what the analysis needs. A parked poll that comes
// from an older configuration is left out, because this handler has not seen its begin.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if caddyhttp.GetVar(r.Context(), observed) != nil || poll.HandoverOf(r) != nil {
		return next.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), observed, true)
	e := h.watcher.begin(r)
	answer := &writer{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, exchange: e, sent: watchBody(r, h.watcher)}
	returned := false
	defer func() {
		switch {
		case returned || answer.over:
		case answer.status == 0:
			answer.drop()
		default: // a panic is how Caddy aborts an answer, which may be that to a write
			answer.end(false)
		}
	}()
	err := next.ServeHTTP(answer, r)
	returned = true
	if answer.over {
		return err
	}
	if answer.status == 0 {
		answer.status, answer.header = statusOf(r, err), answer.Header()
	}
	if answer.status == 0 || r.Method == http.MethodGet && r.Context().Err() != nil {
		answer.drop() // what the client gets, or would have got, is not known
		return err
	}
	answer.end(err == nil && r.Context().Err() == nil)
	return err
}

// statusOf returns the status of an answer that the route did not begin itself. It is 0 if the
// client has its answer by another way, as when a parked poll has moved to a new configuration.
func statusOf(r *http.Request, err error) int {
	var failed caddyhttp.HandlerError
	switch {
	case err == nil && r.Header.Get("Upgrade") != "":
		return http.StatusSwitchingProtocols // written to the connection
	case err == nil:
		return 0
	case errors.As(err, &failed) && failed.StatusCode != 0:
		return failed.StatusCode
	}
	return http.StatusInternalServerError
}

// begin returns what is known of a request when it comes.
func (w *watcher) begin(r *http.Request) *exchange {
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	header := w.key.Request(r.Header)
	if header == nil {
		header = make(http.Header) // it is known that nothing of interest is there
	}
	document := r.Header.Get("Sec-Fetch-Dest") == "document" // a page in a tab of its own
	return &exchange{
		Observation: advise.Observation{
			Begun:   time.Now(),
			Client:  w.key.Digest("client", address, r.UserAgent()),
			Host:    strings.ToLower(host),
			Method:  r.Method,
			Path:    r.URL.EscapedPath(),
			Query:   r.URL.RawQuery,
			Request: header,
			Length:  -1,
		},
		watcher: w,
		partial: document || r.Method == http.MethodHead || r.Header.Get("Range") != "",
		body:    text{watcher: w},
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
