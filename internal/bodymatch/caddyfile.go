package bodymatch

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/option"
)

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	parker_body <rule>
//	parker_body {
//	    <rules, each on its own line>
//	    max_body <size>
//	}
//
// A rule is one of:
//
//	json  <pointer> [<value...>|absent]
//	form  <name> [<value...>]
//	match <regexp>
//
// A value of json is parsed as JSON if it is valid JSON, otherwise it is a string.
// parker_body may repeat in a named matcher: its rules are then added.
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() { // the matcher's name
		if d.CountRemainingArgs() > 0 {
			if err := m.readLine(d); err != nil {
				return err
			}
			continue
		}
		options := option.Options{"max_body": option.Size(&m.MaxBody)}
		for name, read := range m.rules() {
			options[name] = read
		}
		if _, err := option.Read(d, options, "json", "form", "match"); err != nil {
			return err
		}
		if err := m.compile(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// rules returns the readers of the rules.
func (m *Matcher) rules() option.Options {
	options := option.Options{
		"json":  m.readJSON,
		"form":  m.readForm,
		"match": option.String(&m.Match),
	}
	for name, read := range options {
		options[name] = func(d *caddyfile.Dispenser) error {
			if err := read(d); err != nil {
				return err
			}
			// An invalid pointer or expression is reported with its line.
			if err := m.compile(); err != nil {
				return d.WrapErr(err)
			}
			return nil
		}
	}
	return options
}

// readLine reads a rule on the matcher's own line.
func (m *Matcher) readLine(d *caddyfile.Dispenser) error {
	d.NextArg()
	name := d.Val()
	read, known := m.rules()[name]
	if !known {
		return d.Errf("expected json, form or match, got '%s'", name)
	}
	if err := read(d); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return fmt.Errorf("%s: %w", name, d.ArgErr())
	}
	return nil
}

func (m *Matcher) readJSON(d *caddyfile.Dispenser) error {
	var rule JSONRule
	if err := option.JSONMember(&rule.Pointer, &rule.Values, &rule.Absent)(d); err != nil {
		return err
	}
	m.JSON = append(m.JSON, rule)
	return nil
}

func (m *Matcher) readForm(d *caddyfile.Dispenser) error {
	var rule FormRule
	if err := option.Sequence(option.Text(&rule.Name), option.Optional(option.Strings(&rule.Values)))(d); err != nil {
		return err
	}
	m.Form = append(m.Form, rule)
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Matcher)(nil)
