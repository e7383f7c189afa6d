package nothingnew

import (
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/option"
)

// Read parses the block of rules after its name in a Caddyfile. Syntax:
//
//	nothing_new {
//	    status    <code|class...>
//	    body      <text...>
//	    header    <field> [<value>]
//	    json      <pointer> [<value...>|absent]
//	    match     <regexp>
//	    all       { <lines as above> }
//	    unchanged [except <pointer...>]
//	    remember  [<value...>]
//	}
//
// A value of json is parsed as JSON if it is valid JSON, otherwise it is a string: 0 is
// the number, idle is the string "idle". Backquotes preserve quotes: `"0"` is a string.
// They are also needed for {} at the end of a line, which Caddy parses as a block.
func (r *Rules) Read(d *caddyfile.Dispenser) error {
	options := option.Options{
		"all":       r.readAll,
		"unchanged": readUnchanged(r),
	}
	maps.Copy(options, r.conditions())
	for name, read := range options {
		options[name] = func(d *caddyfile.Dispenser) error {
			if err := read(d); err != nil {
				return err
			}
			so := *r
			so.Remember = nil // unchanged may come after it
			return tryRules(d, so)
		}
	}
	options["remember"] = readRemember(r)
	given, err := readBlock(d, options)
	if err != nil {
		return err
	}
	if r.Remember != nil && r.Unchanged == nil {
		return given["remember"].Errf("remember: %w", errCompares)
	}
	return tryRules(d, *r)
}

// conditions returns the options that are also allowed in a block of all.
func (r *Rules) conditions() option.Options {
	return option.Options{
		"status": option.Statuses(&r.Status),
		"body":   option.Strings(&r.Body),
		"header": readHeaderRule(r),
		"json":   readJSONRule(r),
		"match":  option.String(&r.Match),
	}
}

// readAll reads a block whose lines must all match.
func (r *Rules) readAll(d *caddyfile.Dispenser) error {
	var lines []Rules
	options := option.Options{
		"all":       func(d *caddyfile.Dispenser) error { return d.WrapErr(errAllInside) },
		"unchanged": func(d *caddyfile.Dispenser) error { return d.WrapErr(errUnchanged) },
		"remember":  func(d *caddyfile.Dispenser) error { return d.WrapErr(errRemember) },
	}
	for name := range r.conditions() {
		options[name] = func(d *caddyfile.Dispenser) error {
			var line Rules
			if err := line.conditions()[name](d); err != nil {
				return err
			}
			lines = append(lines, line)
			return tryRules(d, line)
		}
	}
	if _, err := readBlock(d, options); err != nil {
		return err
	}
	if len(lines) == 0 {
		return d.WrapErr(errEmptyAll)
	}
	r.All = append(r.All, lines)
	return nil
}

// readBlock reads a block of rules. Rules that are not in a block are an error that says
// where to write them.
func readBlock(d *caddyfile.Dispenser, options option.Options) (option.Given, error) {
	if rule := d.RemainingArgs(); len(rule) > 0 {
		return nil, d.Errf("rules must be in a block: write { instead of '%s', and each rule on its own line in the block", strings.Join(rule, " "))
	}
	return option.Read(d, options, "status", "body", "header", "json", "match", "all")
}

// tryRules provisions a copy of the rules. It is called after each line, so that an
// invalid pointer or pattern is reported with its line.
func tryRules(d *caddyfile.Dispenser, rules Rules) error {
	if err := rules.Provision(1); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func readHeaderRule(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		field := http.CanonicalHeaderKey(d.Val())
		values := []string{} // empty if the field may have any value
		if err := option.Optional(option.String(&values))(d); err != nil {
			return err
		}
		if before, given := rules.Header[field]; given {
			if len(before) == 0 || len(values) == 0 {
				return d.Errf("%s is given without a value and a second time", field)
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

func readJSONRule(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		var rule JSONRule
		if err := option.JSONMember(&rule.Pointer, &rule.Values, &rule.Absent)(d); err != nil {
			return err
		}
		rules.JSON = append(rules.JSON, rule)
		return nil
	}
}

func readUnchanged(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		rules.Unchanged = new(Unchanged)
		if !d.NextArg() {
			return nil
		}
		if d.Val() != "except" {
			return d.Errf("expected the word except, got '%s'", d.Val())
		}
		return option.Strings(&rules.Unchanged.Except)(d)
	}
}

func readRemember(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		rules.Remember = new(Remember)
		return option.Optional(option.Keys(&rules.Remember.Values))(d)
	}
}
