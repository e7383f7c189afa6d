package parker

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/words"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("parker", parseApp)
	httpcaddyfile.RegisterHandlerDirective("parker", parseDirective[Handler])
	httpcaddyfile.RegisterHandlerDirective("parker_notify", parseDirective[Notify])
	httpcaddyfile.RegisterHandlerDirective("parker_publish", parseDirective[Publish])

	// Each goes directly behind request_header, before those that are there
	// already: a notify wraps the parking, and both are outside of encode.
	for _, directive := range []string{"parker_publish", "parker", "parker_notify"} {
		httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.After, "request_header")
	}
}

// parseApp reads the global option, which may be given once.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("parker is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "parker", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseDirective reads a directive behind its matcher.
func parseDirective[T any, Directive interface {
	*T
	caddyhttp.MiddlewareHandler
	caddyfile.Unmarshaler
}](h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	directive := Directive(new(T))
	if err := directive.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return directive, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	parker {
//	    broker      <name> [{ <options of the broker> }]
//	    history     <events> <age>
//	    max_parked  <requests>
//	    max_message <size>
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	history := new(History)
	given, err := words.Read(d, words.Options{
		"broker":      a.readBroker,
		"history":     words.Sequence(words.Integer(&history.Events, 1), words.Duration(&history.MaxAge, time.Nanosecond)),
		"max_parked":  words.Integer(&a.MaxParked, 1),
		"max_message": words.Size(&a.MaxMessage),
	})
	if given["history"] != nil {
		a.History = history
	}
	return err
}

func (a *App) readBroker(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "parker.brokers."+name)
	if err != nil {
		return err
	}
	if _, ok := module.(brokers.Broker); !ok {
		return d.Errf("module parker.brokers.%s is not a broker; is %T", name, module)
	}
	a.BrokerRaw = caddyconfig.JSONModuleObject(module, "name", name, nil)
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker [<matcher>] [<channel...>] {
//	    methods      <method...>
//	    nothing_new {
//	        status    <code|class...>
//	        body      <text...>
//	        header    <field> [<value>]
//	        json      <pointer> [<value...>|absent]
//	        match     <regexp>
//	        unchanged [except <pointer...>]
//	    }
//	    timeout      <duration> [<status>]
//	    watch        off|<interval>
//	    share        public|<value...>
//	    asks         <number>
//	    reuse        <duration>
//	    spread       <duration>
//	    max_body     <size>
//	    per_client   <number>
//	    supersede    off|<key...>
//	    answer       message|replay
//	}
//
// A value of json is the JSON that it spells, else a text: 0 is the number, idle
// is "idle". Backquotes keep quotes: `"0"` is the text. They are needed for {} at
// the end of a line, too, where Caddy takes it for a block.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := readChannels(d, &h.Channels); err != nil {
		return err
	}
	given, err := words.Read(d, words.Options{
		"methods":     words.Methods(&h.Methods),
		"nothing_new": h.readNothingNew,
		"timeout":     words.Sequence(words.Duration(&h.Timeout, time.Nanosecond), words.Optional(words.Status(&h.TimeoutStatus))),
		"watch":       words.OrOff(words.Duration(&h.Watch, leastWatch)),
		"share":       h.readShare,
		"asks":        words.Integer(&h.Asks, 1),
		"reuse":       words.Duration(&h.Reuse, 0),
		"spread":      words.Duration(&h.Spread, 0),
		"max_body":    words.Size(&h.MaxBody),
		"per_client":  words.Integer(&h.PerClient, 0),
		"supersede":   words.OrOff(readKeys(&h.Supersede)),
		"answer":      words.OneOf(&h.Answer, "message", "replay"),
	})
	if err != nil {
		return err
	}
	if option, err := h.checkTimes(); err != nil {
		return given[option].WrapErr(err)
	}
	return nil
}

func (h *Handler) readShare(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() == 1 && d.NextArg() {
		if d.Val() == "public" {
			h.SharePublic = true
			return nil
		}
		d.Prev()
	}
	return readKeys(&h.Share)(d)
}

// readKeys reads the values by which requests are told apart. At least one must
// differ between requests: a word meant as a placeholder, such as header.Cookie
// without braces, would make all clients one.
func readKeys(keys *[]string) words.Reader {
	return func(d *caddyfile.Dispenser) error {
		if err := words.Strings(keys)(d); err != nil {
			return err
		}
		for _, word := range []string{"public", "off"} {
			if slices.Contains(*keys, word) {
				return d.Errf("'%s' cannot be one of the values", word)
			}
		}
		if !slices.ContainsFunc(*keys, hasPlaceholder) {
			return d.Err("no placeholder is among the values, so all requests would agree on them")
		}
		return nil
	}
}

// readChannels reads the channels that a directive names. What a placeholder
// stands for is checked for each request.
func readChannels(d *caddyfile.Dispenser, channels *[]string) error {
	for d.NextArg() {
		if err := brokers.CheckChannel(d.Val()); err != nil && !hasPlaceholder(d.Val()) {
			return d.WrapErr(err)
		}
		*channels = append(*channels, d.Val())
	}
	return nil
}

func hasPlaceholder(text string) bool {
	return strings.Contains(text, "{")
}

// readNothingNew reads a set of rules, which replaces the default one.
func (h *Handler) readNothingNew(d *caddyfile.Dispenser) error {
	rules := new(nothingnew.Rules)
	options := words.Options{
		"status":    words.Statuses(&rules.Status),
		"body":      words.Strings(&rules.Body),
		"header":    readHeaderRule(rules),
		"json":      readJSONRule(rules),
		"match":     words.String(&rules.Match),
		"unchanged": readUnchanged(rules),
	}
	for name, read := range options {
		options[name] = func(d *caddyfile.Dispenser) error {
			if err := read(d); err != nil {
				return err
			}
			return tryRules(d, *rules)
		}
	}
	if _, err := words.Read(d, options, "status", "body", "header", "json", "match"); err != nil {
		return err
	}
	h.NothingNew = rules
	return tryRules(d, *rules)
}

// tryRules provisions a copy of the rules, after each line of them, so that a
// pointer or a pattern that is wrong is reported where it stands.
func tryRules(d *caddyfile.Dispenser, rules nothingnew.Rules) error {
	if err := rules.Provision(1); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func readHeaderRule(rules *nothingnew.Rules) words.Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		field := http.CanonicalHeaderKey(d.Val())
		values := []string{} // none: the field is there, whatever it says
		if err := words.Optional(words.String(&values))(d); err != nil {
			return err
		}
		if before, given := rules.Header[field]; given {
			if len(before) == 0 || len(values) == 0 {
				return d.Errf("%s is given without a value and once more", field)
			}
			values = append(before, values...)
		}
		if rules.Header == nil {
			rules.Header = make(map[string][]string)
		}
		rules.Header[field] = values
		return nil
	}
}

func readJSONRule(rules *nothingnew.Rules) words.Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		rule := nothingnew.JSONRule{Pointer: d.Val()}
		values := d.RemainingArgs()
		if rule.Absent = slices.Contains(values, "absent"); rule.Absent {
			if len(values) > 1 {
				return d.Err("the word absent stands alone")
			}
			values = nil
		}
		for _, text := range values {
			value := jsonOf(text)
			if err := checkNumbers(value); err != nil {
				return d.Errf("%s: %w", text, err)
			}
			rule.Values = append(rule.Values, value)
		}
		rules.JSON = append(rules.JSON, rule)
		return nil
	}
}

// jsonOf is the JSON that the text spells, else the text as a JSON string.
func jsonOf(text string) json.RawMessage {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) == nil {
		return compact.Bytes()
	}
	return caddyconfig.JSON(text, nil)
}

// checkNumbers refuses numbers that would not arrive as they are written: Caddy
// reads those of a handler as float64 when it adapts a Caddyfile.
func checkNumbers(value json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(value))
	for {
		token, err := decoder.Token()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if number, ok := token.(float64); ok && math.Abs(number) >= 1<<53 {
			return errors.New("numbers of 2^53 and above are not exact in a Caddyfile")
		}
	}
}

func readUnchanged(rules *nothingnew.Rules) words.Reader {
	return func(d *caddyfile.Dispenser) error {
		rules.Unchanged = new(nothingnew.Unchanged)
		if !d.NextArg() {
			return nil
		}
		if d.Val() != "except" {
			return d.Errf("'%s' is not the word except", d.Val())
		}
		return words.Strings(&rules.Unchanged.Except)(d)
	}
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_notify [<matcher>] [<channel...>] {
//	    methods <method...>
//	    status  <code|class...>
//	}
func (n *Notify) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if err := readChannels(d, &n.Channels); err != nil {
		return err
	}
	_, err := words.Read(d, words.Options{
		"methods": words.Methods(&n.Methods),
		"status":  words.Statuses(&n.Status),
	})
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_publish [<matcher>] {
//	    token <secret...>
//	    allow <range...>|private_ranges
//	}
//
// Both options may repeat.
func (p *Publish) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	_, err := words.Read(d, words.Options{
		"token": words.Secrets(&p.Tokens),
		"allow": words.Addresses(&p.Allow),
	}, "token", "allow")
	return err
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*Notify)(nil)
	_ caddyfile.Unmarshaler = (*Publish)(nil)
)
