package nothingnew

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/option"
)

// Read reads the block of rules behind its name in a Caddyfile. Syntax:
//
//	nothing_new {
//	    status    <code|class...>
//	    body      <text...>
//	    header    <field> [<value>]
//	    json      <pointer> [<value...>|absent]
//	    match     <regexp>
//	    all       { <lines as above> }
//	    unchanged [except <pointer...>]
//	}
//
// A value of json is the JSON that it spells, else a text: 0 is the number, idle
// is "idle". Backquotes keep quotes: `"0"` is the text. They are needed for {} at
// the end of a line, too, where Caddy takes it for a block.
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
			return tryRules(d, *r)
		}
	}
	if err := readBlock(d, options); err != nil {
		return err
	}
	return tryRules(d, *r)
}

// conditions are the options that can also be lines of all.
func (r *Rules) conditions() option.Options {
	return option.Options{
		"status": option.Statuses(&r.Status),
		"body":   option.Strings(&r.Body),
		"header": readHeaderRule(r),
		"json":   readJSONRule(r),
		"match":  option.String(&r.Match),
	}
}

// readAll reads a block each of whose lines must be met.
func (r *Rules) readAll(d *caddyfile.Dispenser) error {
	var lines []Rules
	options := option.Options{
		"all":       func(d *caddyfile.Dispenser) error { return d.WrapErr(errAllInside) },
		"unchanged": func(d *caddyfile.Dispenser) error { return d.WrapErr(errUnchanged) },
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
	if err := readBlock(d, options); err != nil {
		return err
	}
	if len(lines) == 0 {
		return d.WrapErr(errEmptyAll)
	}
	r.All = append(r.All, lines)
	return nil
}

// readBlock reads a block of rules, and says where to write those that stand outside.
func readBlock(d *caddyfile.Dispenser, options option.Options) error {
	if rule := d.RemainingArgs(); len(rule) > 0 {
		return d.Errf("rules stand in a block: write { in place of '%s', and each rule on a line of its own in the block", strings.Join(rule, " "))
	}
	_, err := option.Read(d, options, "status", "body", "header", "json", "match", "all")
	return err
}

// tryRules provisions a copy of the rules, after each line of them, so that a
// pointer or a pattern that is wrong is reported where it stands.
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
		values := []string{} // none: the field is there, whatever it says
		if err := option.Optional(option.String(&values))(d); err != nil {
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

func readJSONRule(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		rule := JSONRule{Pointer: d.Val()}
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

func readUnchanged(rules *Rules) option.Reader {
	return func(d *caddyfile.Dispenser) error {
		rules.Unchanged = new(Unchanged)
		if !d.NextArg() {
			return nil
		}
		if d.Val() != "except" {
			return d.Errf("'%s' is not the word except", d.Val())
		}
		return option.Strings(&rules.Unchanged.Except)(d)
	}
}
