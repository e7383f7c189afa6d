package option

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Sequence reads several values on a line, one after the other.
func Sequence(readers ...Reader) Reader {
	return func(d *caddyfile.Dispenser) error {
		for _, read := range readers {
			if err := read(d); err != nil {
				return err
			}
		}
		return nil
	}
}

// Optional reads a value that may be omitted.
func Optional(read Reader) Reader {
	return func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() == 0 {
			return nil
		}
		return read(d)
	}
}

// OrOff reads a value, or the word off, which leaves the target unchanged.
func OrOff(read Reader) Reader {
	return func(d *caddyfile.Dispenser) error {
		if d.NextArg() {
			if d.Val() == "off" {
				return nil
			}
			d.Prev()
		}
		return read(d)
	}
}

// Duration reads one duration of at least least, in Caddy's notation, such as 10ms, 55s
// or 1d.
func Duration(target *caddy.Duration, least time.Duration) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		duration, err := caddy.ParseDuration(d.Val())
		if err != nil {
			return d.Errf("bad duration '%s': %w", d.Val(), err)
		}
		if duration < least {
			return d.Errf("bad duration '%s': must be at least %s", d.Val(), least)
		}
		*target = caddy.Duration(duration)
		return nil
	})
}

// Ascending reads one or more durations, each longer than the one before. They replace
// the target.
func Ascending(target *[]caddy.Duration) Reader {
	return func(d *caddyfile.Dispenser) error {
		*target = nil
		return each(func(d *caddyfile.Dispenser) error {
			var duration caddy.Duration
			d.Prev()
			if err := Duration(&duration, time.Nanosecond)(d); err != nil {
				return err
			}
			if n := len(*target); n > 0 && duration <= (*target)[n-1] {
				return d.Errf("%s after %s: durations must be in ascending order", time.Duration(duration), time.Duration((*target)[n-1]))
			}
			*target = append(*target, duration)
			return nil
		})(d)
	}
}

// Integer reads one integer of at least least.
func Integer(target *int, least int) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		number, err := strconv.Atoi(d.Val())
		if err != nil {
			return d.Errf("bad number '%s': %w", d.Val(), err)
		}
		if number < least {
			return d.Errf("bad number '%s': must be at least %d", d.Val(), least)
		}
		*target = number
		return nil
	})
}

// Size reads one size of at least one byte, in Caddy's notation, such as 64KB or 1MiB.
func Size(target *int64) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		size, err := humanize.ParseBytes(d.Val())
		switch {
		case err != nil:
			return d.Errf("bad size '%s': %w", d.Val(), err)
		case size == 0:
			return d.Errf("bad size '%s': must be at least one byte", d.Val())
		case size > math.MaxInt64:
			return d.Errf("bad size '%s': too large", d.Val())
		}
		*target = int64(size)
		return nil
	})
}

// Flag reads an option without a value and sets the target to true.
func Flag(target *bool) Reader {
	return func(*caddyfile.Dispenser) error {
		*target = true
		return nil
	}
}

// OneOf reads one of the choices.
func OneOf(target *string, choices ...string) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		if !slices.Contains(choices, d.Val()) {
			return d.Errf("'%s' is not one of: %s", d.Val(), strings.Join(choices, ", "))
		}
		*target = d.Val()
		return nil
	})
}

// Text reads one text.
func Text(target *string) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		*target = d.Val()
		return nil
	})
}

// String reads one text and appends it to the target.
func String(target *[]string) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		*target = append(*target, d.Val())
		return nil
	})
}

// Strings reads one or more texts and appends them to the target.
func Strings(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		*target = append(*target, d.Val())
		return nil
	})
}

// one reads exactly one value. parse gets it from d.Val.
func one(parse Reader) Reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		return parse(d)
	}
}

// each reads one or more values. parse gets each from d.Val.
func each(parse Reader) Reader {
	return func(d *caddyfile.Dispenser) error {
		if d.CountRemainingArgs() == 0 {
			return d.ArgErr()
		}
		for d.NextArg() {
			if err := parse(d); err != nil {
				return err
			}
		}
		return nil
	}
}
