// Package identity finds out who has sent a request: for the limits on parked requests, for
// polls that take an older one's place, and for what is remembered of a client.
package identity

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/limit"
	"github.com/caddy-parker/parker/internal/memory"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/parking"
)

// Options says what of a request's sender matters to a handler.
type Options struct {
	// Supersede holds the values by which a newer request takes an older one's place. They
	// may contain placeholders. None: it does not.
	Supersede []string

	// Timer makes the newest poll of a browser take the older one's place.
	Timer bool

	// Share says which query parameters are ignored.
	Share *coalesce.Rule

	// PerBrowser is true if the parked polls of one browser are limited.
	PerBrowser bool

	// Rules say whether answers are compared with what clients have.
	Rules *nothingnew.Rules
}

// AddressOf returns the address of the client, as limits count it.
func AddressOf(r *http.Request) string {
	address, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return limit.Client(address)
}

// Client returns the sender of a request, for the limits on parked requests.
func (o *Options) Client(r *http.Request, kept *ask.Request, streams bool) parking.Client {
	client := parking.Client{Address: AddressOf(r)}
	switch {
	case len(o.Supersede) > 0:
		client.Supersede = o.supersedeKey(r)
	case o.Timer && !streams && !o.Unknown(r):
		client.Supersede, client.Page = o.timerKeys(r, kept, client.Address)
	}
	if o.PerBrowser && !streams {
		original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		client.Browser = parking.BrowserOf(r, client.Address, original.URL.Path)
	}
	return client
}

// Unknown reports whether a poll must not be held because too little is known of its
// client. If the browser of a timer cannot be told from others, no newer poll would take the
// place of this one. And a page that is loaded has nothing yet, though its browser may have
// the document.
func (o *Options) Unknown(r *http.Request) bool {
	conditional := len(r.Header["If-None-Match"])+len(r.Header["If-Modified-Since"]) > 0
	return o.Timer && len(r.Header["Cookie"]) == 0 || o.Rules.Unchanged != nil && conditional && memory.IsPageLoad(r)
}

// supersedeKey returns the key of the configured values. It is the zero key if all of them
// are empty, because all clients would have the same key.
func (o *Options) supersedeKey(r *http.Request) parking.Key {
	values := replaced(r, o.Supersede)
	if strings.Join(values, "") == "" {
		return parking.Key{}
	}
	return parking.KeyOf(append(values, r.Host, r.URL.Path)...)
}

// timerKeys returns the key of the polls of one browser for one thing, and that of its polls
// on one path if they may wait for each other in the browser.
func (o *Options) timerKeys(r *http.Request, kept *ask.Request, address string) (thing, page parking.Key) {
	values := []string{
		address, strings.Join(r.Header["User-Agent"], "\n"), strings.Join(r.Header["Cookie"], "\n"), r.Method, r.Host, r.URL.Path,
	}
	query := o.Share.CutQuery(r.URL.RawQuery)
	if r.Method == http.MethodGet && len(query) == len(r.URL.RawQuery) && !noCache(r) {
		page = parking.KeyOf(values...)
	}
	return parking.KeyOf(append(values, query, string(o.Rules.RequestBody(kept.Header(), kept.Body())))...), page
}

// noCache reports whether the client has not looked into its cache.
func noCache(r *http.Request) bool {
	return slices.ContainsFunc(field.List(r.Header["Cache-Control"]), func(directive string) bool { return strings.EqualFold(directive, "no-cache") })
}

// Memory returns what is needed to remember what the client of a poll has, and to notice
// that it loads a page. It is nil if answers are not compared. A document is what a page
// load asks for, so that its page has nothing.
func (o *Options) Memory(r *http.Request, streams bool) *memory.Request {
	if o.Rules.Unchanged == nil || streams || memory.IsPageLoad(r) {
		return nil
	}
	browser := memory.BrowserOf(r, AddressOf(r))
	return &memory.Request{
		Browser:   browser,
		Remembers: o.remembers(r, browser),
		Newest:    o.Timer || len(o.Supersede) > 0,
	}
}

// remembers reports whether the client of a poll can be told from others, and loads its
// pages here.
func (o *Options) remembers(r *http.Request, browser memory.Browser) bool {
	if remember := o.Rules.Remember; remember != nil && len(remember.Values) > 0 {
		return haveValues(r, remember.Values) && memory.IsOfPage(r, true)
	}
	return browser.HasCookie() && memory.IsOfPage(r, false)
}

// haveValues reports whether all placeholders of values have a value for a request.
// Otherwise all clients that have none would be one.
func haveValues(r *http.Request, values []string) bool {
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return !slices.ContainsFunc(values, func(value string) bool {
		_, err := replacer.ReplaceOrErr(value, true, true)
		return err != nil
	})
}

// replaced returns values with the placeholders of a request replaced.
func replaced(r *http.Request, values []string) []string {
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	replaced := make([]string, len(values))
	for i, value := range values {
		replaced[i] = replacer.ReplaceAll(value, "")
	}
	return replaced
}
