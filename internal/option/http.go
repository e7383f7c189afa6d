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
			return d.Errf("bad status '%s': a code of 200 to 599 is needed", d.Val())
		}
		*target = code
		return nil
	})
}

// Statuses reads one or more status codes of final answers, or classes of them
// such as 2xx, and adds them to the target; a class is added as its first digit,
// as Caddy's matchers do.
func Statuses(target *[]int) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		text, isClass := strings.CutSuffix(d.Val(), "xx")
		least, most := 200, 599
		if isClass {
			least, most = 2, 5
		}
		code, err := strconv.Atoi(text)
		if err != nil || code < least || code > most {
			return d.Errf("bad status '%s': codes of 200 to 599 or classes of 2xx to 5xx are needed", d.Val())
		}
		*target = append(*target, code)
		return nil
	})
}

// Methods reads one or more methods and adds them to the target, in upper case.
func Methods(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		if !isToken(d.Val()) {
			return d.Errf("'%s' is not a method", d.Val())
		}
		*target = append(*target, strings.ToUpper(d.Val()))
		return nil
	})
}

// Addresses reads one or more CIDR ranges and single addresses and adds them to
// the target; private_ranges stands for those that Caddy calls so.
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

// Secrets reads one or more tokens that an Authorization field can carry and
// adds them to the target. Its errors quote none.
func Secrets(target *[]string) Reader {
	return each(func(d *caddyfile.Dispenser) error {
		invisible := func(r rune) bool { return r <= ' ' || r > '~' }
		if d.Val() == "" || strings.ContainsFunc(d.Val(), invisible) {
			return d.Err("a secret is one or more visible ASCII characters")
		}
		*target = append(*target, d.Val())
		return nil
	})
}

// isToken tells whether the text is a token as RFC 9110, section 5.6.2, has it.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return false
		}
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
