// Package option reads the options of a Caddyfile block: each word known, each
// value within its bounds, nothing left over. Every error names the option, the
// file and the line.
package option

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Reader reads what follows an option's name: its values, and its block if it
// has one.
type Reader func(*caddyfile.Dispenser) error

// Options are the names that a block may hold, and what reads each.
type Options map[string]Reader

// Given is where each option of a block stands, for what can only be checked
// once all are read. Of an option that repeats it is the last.
type Given map[string]*caddyfile.Dispenser

// Read reads the block that opens after the present word, if one does. An option
// may be given once, unless it is one of repeatable.
func Read(d *caddyfile.Dispenser, options Options, repeatable ...string) (Given, error) {
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	given := make(Given)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		read, known := options[name]
		switch {
		case !known:
			return nil, d.Errf("unrecognized subdirective '%s'", name)
		case given[name] != nil && !slices.Contains(repeatable, name):
			return nil, d.Errf("%s is given twice", name)
		}
		option := d.NewFromNextSegment()
		option.Next()
		if err := read(option); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if option.Next() {
			return nil, fmt.Errorf("%s: %w", name, option.ArgErr())
		}
		option.Reset()
		option.Next()
		given[name] = option
	}
	return given, nil
}
