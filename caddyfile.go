package parker

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/advise/observe"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/mistakes"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/option"
	"github.com/caddy-parker/parker/internal/pageload"
	"github.com/caddy-parker/parker/internal/sites"
	"github.com/caddy-parker/parker/internal/status"
	"github.com/caddy-parker/parker/internal/stream"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("parker", hub.ParseOption)
	httpcaddyfile.RegisterDirective("parker", parseParker)
	httpcaddyfile.RegisterDirective("parker_observe", parseDirective[observe.Handler])
	httpcaddyfile.RegisterDirective("parker_notify", parseDirective[Notify])
	httpcaddyfile.RegisterDirective("parker_page_loads", parseDirective[pageload.Handler])
	httpcaddyfile.RegisterDirective("parker_publish", parseDirective[hook.Handler])
	httpcaddyfile.RegisterDirective("parker_status", parseDirective[status.Handler])

	// Each is placed directly after request_header, so the last of them comes first:
	// parker_notify wraps parker, both wrap encode, and requests for the status page
	// are not parked.
	for _, directive := range []string{"parker_publish", "parker", "parker_page_loads", "parker_notify", "parker_status", "parker_observe"} {
		httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.After, "request_header")
	}
}

// parseParker parses a parker directive. In contrast to the other directives it needs
// the matcher, to find out whether another site would have the same channels. If answers
// are compared with what clients have, page loads matter, whatever the matcher matches.
func parseParker(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if len(handler.Channels) == 0 {
		h.Reset()
		h.Next()
		if err := sites.Claim(h, matcher, handler.AcrossSites); err != nil {
			return nil, err
		}
	}
	mistakes.Warn(h, matcher, handler)
	routes := h.NewRoute(matcher, handler)
	if handler.compares() {
		watch, err := mistakes.WatchPageLoads(h, handler.needsPageLoads())
		if err != nil {
			return nil, err
		}
		if watch {
			routes = append(routes, h.NewRoute(nil, new(pageload.Handler))...)
		}
	}
	return routes, nil
}

// parseDirective parses a directive with an optional matcher.
func parseDirective[T any, Directive interface {
	*T
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
}](h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	directive := Directive(new(T))
	if err := directive.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	mistakes.Warn(h, matcher, directive)
	return h.NewRoute(matcher, directive), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker [<matcher>] [<channel...>] {
//	    across_sites
//	    methods      <method...>
//	    nothing_new  { <rules> }
//	    revalidate
//	    timeout      <duration> [<status>]
//	    watch        off|<interval>
//	    share        public|<value...>
//	    ignore_query <name...>
//	    asks         <number>
//	    reuse        <duration>
//	    look_again   off|<duration...>
//	    spread       <duration>
//	    max_body     <size> [<duration>]
//	    per_client   <number>
//	    per_browser  <number>
//	    supersede    off|<key...>
//	    timer
//	    answer       message|replay
//	    hold         backend|messages
//	    sse          { <options of streams> }
//	    name         <text>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := readChannels(d, &h.Channels); err != nil {
		return err
	}
	given, err := option.Read(d, option.Options{
		"across_sites": option.Flag(&h.AcrossSites),
		"methods":      option.Methods(&h.Methods),
		"nothing_new":  h.readNothingNew,
		"revalidate":   option.Flag(&h.Revalidate),
		"timeout":      option.Sequence(option.Duration(&h.Timeout, time.Nanosecond), option.Optional(option.Status(&h.TimeoutStatus))),
		"watch":        option.OrOff(option.Duration(&h.Watch, leastWatch)),
		"share":        h.readShare,
		"ignore_query": h.readIgnoreQuery,
		"asks":         option.Integer(&h.Asks, 1),
		"reuse":        option.Duration(&h.Reuse, 0),
		"look_again":   h.readLookAgain,
		"spread":       option.Duration(&h.Spread, 0),
		"max_body":     option.Sequence(option.Size(&h.MaxBody), option.Optional(option.Duration(&h.MaxBodyTime, time.Millisecond))),
		"per_client":   option.Integer(&h.PerClient, 0),
		"per_browser":  h.readPerBrowser,
		"supersede":    option.OrOff(option.Keys(&h.Supersede)),
		"timer":        option.Flag(&h.Timer),
		"answer":       option.OneOf(&h.Answer, "message", "replay"),
		"hold":         option.OneOf(&h.Hold, "backend", "messages"),
		"sse":          h.readSSE,
		"name":         option.Text(&h.Name),
	})
	if err != nil {
		return err
	}
	for _, check := range []func() (string, error){h.checkTimes, h.checkHold, h.checkRevalidate, h.checkSites, h.checkTimer} {
		if option, err := check(); err != nil {
			return given[option].WrapErr(err)
		}
	}
	return nil
}

func (h *Handler) readNothingNew(d *caddyfile.Dispenser) error {
	h.NothingNew = new(nothingnew.Rules)
	return h.NothingNew.Read(d)
}

func (h *Handler) readSSE(d *caddyfile.Dispenser) error {
	h.SSE = new(stream.Options)
	return h.SSE.Read(d)
}

func (h *Handler) readLookAgain(d *caddyfile.Dispenser) error {
	h.LookAgain = []caddy.Duration{0} // off
	return option.OrOff(option.Ascending(&h.LookAgain))(d)
}

func (h *Handler) readPerBrowser(d *caddyfile.Dispenser) error {
	h.PerBrowser = new(int)
	return option.Integer(h.PerBrowser, 0)(d)
}

func (h *Handler) readShare(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() == 1 && d.NextArg() {
		if d.Val() == "public" {
			h.SharePublic = true
			return nil
		}
		d.Prev()
	}
	return option.Keys(&h.Share)(d)
}

func (h *Handler) readIgnoreQuery(d *caddyfile.Dispenser) error {
	if err := option.Strings(&h.IgnoreQuery)(d); err != nil {
		return err
	}
	if slices.Contains(h.IgnoreQuery, "") {
		return d.WrapErr(errNoName)
	}
	return nil
}

var errNoName = errors.New("the name of a parameter must not be empty")

// readChannels reads the channels of a directive. A channel with placeholders is
// checked for each request instead.
func readChannels(d *caddyfile.Dispenser, channels *[]string) error {
	for d.NextArg() {
		if err := brokers.CheckChannel(d.Val()); err != nil && !option.HasPlaceholder(d.Val()) {
			return d.WrapErr(err)
		}
		*channels = append(*channels, d.Val())
	}
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_notify [<matcher>] [<channel...>] {
//	    across_sites
//	    methods <method...>
//	    status  <code|class...>
//	    piggyback
//	}
func (n *Notify) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := readChannels(d, &n.Channels); err != nil {
		return err
	}
	given, err := option.Read(d, option.Options{
		"across_sites": option.Flag(&n.AcrossSites),
		"methods":      option.Methods(&n.Methods),
		"status":       option.Statuses(&n.Status),
		"piggyback":    option.Flag(&n.Piggyback),
	})
	if err == nil && n.AcrossSites && len(n.Channels) > 0 {
		return given["across_sites"].WrapErr(errAcrossSites)
	}
	return err
}

// Templates returns the values in which placeholders are replaced.
func (h *Handler) Templates() []string {
	return slices.Concat(h.Channels, h.Share, h.Supersede, h.rememberBy())
}

// Templates returns the values in which placeholders are replaced.
func (n *Notify) Templates() []string { return n.Channels }

// leastWatch is the shortest interval of watch, so that it cannot become a busy loop.
const leastWatch = 10 * time.Millisecond

// check returns an error for settings that make no sense. The Caddyfile does not accept
// them, but JSON may contain them.
func (h *Handler) check() error {
	for name, value := range map[string]int64{
		"timeout": int64(h.Timeout), "watch": int64(h.Watch), "asks": int64(h.Asks), "reuse": int64(h.Reuse),
		"spread": int64(h.Spread), "max_body": h.MaxBody, "max_body_time": int64(h.MaxBodyTime), "per_client": int64(h.PerClient),
		"per_browser": int64(*h.PerBrowser),
	} {
		if value < 0 {
			return fmt.Errorf("%s must not be negative", name)
		}
	}
	if _, err := h.checkTimes(); err != nil {
		return err
	}
	switch {
	case h.Watch > 0 && time.Duration(h.Watch) < leastWatch:
		return fmt.Errorf("watch is %s: it must be at least %s", time.Duration(h.Watch), leastWatch)
	case !slices.IsSorted(h.LookAgain) || h.LookAgain[0] < 0:
		return errors.New("look_again must be in ascending order and must not be negative")
	case slices.Contains(h.IgnoreQuery, ""):
		return fmt.Errorf("ignore_query: %w", errNoName)
	case h.SharePublic && len(h.Share) > 0:
		return errors.New("share and share_public cannot be combined")
	case h.TimeoutStatus != 0 && (h.TimeoutStatus < 200 || h.TimeoutStatus > 599):
		return fmt.Errorf("timeout_status is %d: it must be from 200 to 599", h.TimeoutStatus)
	case h.Answer != "" && h.Answer != "message" && h.Answer != "replay":
		return fmt.Errorf("answer is %q: it must be message or replay", h.Answer)
	}
	if _, err := h.checkSites(); err != nil {
		return err
	}
	if _, err := h.checkTimer(); err != nil {
		return err
	}
	if _, err := h.checkRevalidate(); err != nil {
		return err
	}
	_, err := h.checkHold()
	return err
}

// checkSites returns an error and the option that it is about if across_sites is
// combined with named channels.
func (h *Handler) checkSites() (option string, err error) {
	if h.AcrossSites && len(h.Channels) > 0 {
		return "across_sites", errAcrossSites
	}
	return "", nil
}

// checkTimer returns an error and the option that it is about if timer is combined with
// what it stands for.
func (h *Handler) checkTimer() (option string, err error) {
	if h.Timer && len(h.Supersede) > 0 {
		return "timer", errors.New("timer cannot be combined with supersede, which it includes")
	}
	return "", nil
}

// checkHold returns an error and the option that it is about if hold is not valid, or
// if an option about the backend's answers is combined with hold messages.
func (h *Handler) checkHold() (option string, err error) {
	if h.Hold != "" && h.Hold != "backend" && h.Hold != "messages" {
		return "hold", fmt.Errorf("hold is %q: it must be backend or messages", h.Hold)
	}
	lookAgain := len(h.LookAgain) > 0 && !slices.Equal(h.LookAgain, defaultLookAgain) && h.LookAgain[0] > 0
	for option, given := range map[string]bool{
		"nothing_new": h.NothingNew != nil, "watch": h.Watch > 0, "reuse": h.Reuse > 0, "look_again": lookAgain, "answer": h.Answer == "replay", "timer": h.Timer,
	} {
		if given && h.Hold == "messages" {
			return option, fmt.Errorf("%s cannot be combined with hold messages, because the backend is not asked", option)
		}
	}
	return "", nil
}

// checkRevalidate returns an error and the option that it is about if browsers are to ask
// with conditions that parker does not compare.
func (h *Handler) checkRevalidate() (option string, err error) {
	if h.Revalidate && (h.NothingNew == nil || h.NothingNew.Unchanged == nil) {
		return "revalidate", errors.New("revalidate requires unchanged in nothing_new, which gives answers a validator and compares it")
	}
	return "", nil
}

// checkTimes returns an error and the option that it is about if a time is longer than
// the timeout.
func (h *Handler) checkTimes() (option string, err error) {
	timeout := cmp.Or(h.Timeout, caddy.Duration(defaultTimeout))
	switch {
	case h.Watch > timeout:
		return "watch", fmt.Errorf("watch: the interval must not be longer than the timeout of %s", time.Duration(timeout))
	case h.Spread > timeout:
		return "spread", fmt.Errorf("spread: it must not be longer than the timeout of %s", time.Duration(timeout))
	}
	return "", nil
}

var errAcrossSites = errors.New("across_sites cannot be combined with named channels, which all sites share anyway")

// Interface guards
var (
	_ mistakes.Templated    = (*Handler)(nil)
	_ mistakes.Templated    = (*Notify)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*Notify)(nil)
)
