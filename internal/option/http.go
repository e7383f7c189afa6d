package option

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Status reads one status code of a final answer.
func Status(target *int) Reader {
	return one(func(d *caddyfile.Dispenser) error {
		code, err := strconv.Atoi(d.Val())
		if err != nil || code < 200 || code > 599 {
			return d.Errf("bad status '%s': must be a code from 200 to 599", d.Val())
		}
		*target = code
		return nil
	})
}

// Statuses reads one or more status codes of final answers, or classes such as 2xx, and
// appends them to the target. A class is appended as its first digit, as in Caddy's
// matchers.
func Statuses(target *[]int) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		text, isClass := strings.CutSuffix(d.Val(), "xx")
		least, most := 200, 599
		if isClass {
			least, most = 2, 5
		}
		code, err := strconv.Atoi(text)
		if err != nil || code < least || code > most {
			return d.Errf("bad status '%s': must be a code from 200 to 599 or a class from 2xx to 5xx", d.Val())
		}
		*target = append(*target, code)
		return nil
	})
}

// Methods reads one or more methods and appends them to the target in upper case.
func Methods(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		if !isToken(d.Val()) {
			return d.Errf("'%s' is not a valid method", d.Val())
		}
		*target = append(*target, strings.ToUpper(d.Val()))
		return nil
	})
}

// Addresses reads one or more CIDR ranges or single addresses and appends them to the
// target. private_ranges stands for the ranges that Caddy calls so.
func Addresses(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		if d.Val() == "private_ranges" {
			*target = append(*target, caddyhttp.PrivateRangesCIDR()...)
			return nil
		}
		if _, err := caddyhttp.CIDRExpressionToPrefix(d.Val()); err != nil {
			return d.WrapErr(err)
		}
		*target = append(*target, d.Val())
		return nil
	})
}

// Secrets reads one or more tokens that an Authorization field can contain and appends
// them to the target. Its errors never contain a token.
func Secrets(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		invisible := func(r rune) bool { return r <= ' ' || r > '~' }
		if d.Val() == "" || strings.ContainsFunc(d.Val(), invisible) {
			return d.Err("a secret must consist of visible ASCII characters")
		}
		*target = append(*target, d.Val())
		return nil
	})
}

// isToken reports whether the text is a token (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
