// Package option parses the options of a Caddyfile block. Unknown options, values out of
// range and surplus words are errors. Every error contains the option, the file and the
// line.
package option

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Reader reads the values after an option's name, and its block if it has one.
type Reader func(*caddyfile.Dispenser) error

// Options maps the names of the options in a block to their readers.
type Options map[string]Reader

// Given maps the options that a block contains to their positions, for errors that can
// only be found after all options are read. For an option that is repeated it is the
// last position.
type Given map[string]*caddyfile.Dispenser

// Read reads the block after the current word, if there is one. An option may be given
// only once, unless it is in repeatable.
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
