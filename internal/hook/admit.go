package hook

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Gate restricts access to an endpoint by the client's address, origin and token.
type Gate struct {
	// Browsers also accepts a token as the password of Basic credentials, with any
	// user name, because browsers can ask their users for these. Set it only for
	// endpoints that change nothing: browsers also send the credentials with requests
	// of pages of other origins.
	Browsers bool

	// Directive is the name of the directive that configures the gate, for error
	// messages.
	Directive string

	tokens      []tokenDigest
	allowed     []netip.Prefix
	crossOrigin http.CrossOriginProtection
}

// NewGate returns a gate. If there are tokens, each request must present one of them.
// Global placeholders such as {env.TOKEN} are replaced in tokens. allow lists the peers
// that are allowed, as CIDR ranges, single addresses or the word private_ranges. If it
// is empty, only loopback addresses are allowed.
//
// The error contains the number of the invalid token, or the invalid word of allow.
func NewGate(tokens, allow []string) (*Gate, error) {
	digests, err := digestTokens(tokens)
	if err != nil {
		return nil, err
	}
	allowed, err := parseAllow(allow)
	if err != nil {
		return nil, err
	}
	return &Gate{tokens: digests, allowed: allowed}, nil
}

// tokenDigest is the digest of a token. All digests have the same length, so the time
// of a comparison does not depend on the length of the token.
type tokenDigest = [sha256.Size]byte

// digestTokens returns the digests of the tokens. It returns an error for a token that
// an Authorization field cannot contain. Errors never contain a token.
func digestTokens(tokens []string) ([]tokenDigest, error) {
	var digests []tokenDigest
	replacer := caddy.NewReplacer()
	for i, token := range tokens {
		// An unset variable must be an error, not an empty token.
		token, err := replacer.ReplaceOrErr(token, true, true)
		switch {
		case err != nil:
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		case token == "":
			return nil, fmt.Errorf("token %d is empty", i+1)
		case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("token %d contains a character other than visible ASCII", i+1)
		}
		digests = append(digests, sha256.Sum256([]byte(token)))
	}
	return digests, nil
}

// parseAllow parses CIDR ranges, single addresses and Caddy's private_ranges.
func parseAllow(words []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, word := range words {
		ranges := []string{word}
		if word == "private_ranges" {
			ranges = caddyhttp.PrivateRangesCIDR()
		}
		for _, expression := range ranges {
			prefix, err := caddyhttp.CIDRExpressionToPrefix(expression)
			if err != nil {
				return nil, fmt.Errorf("allow: %w", err)
			}
			// Peer addresses are unmapped before they are compared, so a range of
			// IPv4-mapped addresses must be unmapped as well.
			if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
				prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
			}
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes, nil
}

// Admit returns nil if the request is admitted, otherwise why it is not. The peer's
// address must be allowed, web pages of other origins may not publish, and if tokens
// are configured, the request must present one of them.
func (g *Gate) Admit(w http.ResponseWriter, r *http.Request) *Problem {
	if !g.admitsPeer(r) {
		return refuse(http.StatusForbidden, fmt.Sprintf(
			"Your address is not allowed. The option allow of %s lists the addresses that are allowed, by default only loopback. Behind a proxy, the address of the proxy counts.", g.Directive))
	}
	if err := g.checkOrigin(r); err != nil {
		return refuse(http.StatusForbidden, "This web page may not publish: "+err.Error()+".")
	}
	if len(g.tokens) == 0 {
		return nil
	}
	token, presented := g.tokenOf(r)
	switch {
	case presented && g.admitsToken(token):
		return nil
	case g.Browsers:
		w.Header().Set("WWW-Authenticate", `Basic realm="parker", charset="UTF-8"`)
		return refuse(http.StatusUnauthorized, "A token is required, as a Bearer token or as the password with any user name.")
	case presented:
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`)
		return refuse(http.StatusUnauthorized, "The Bearer token is not valid.")
	default:
		// If there is no token, the field has no error parameter (RFC 6750, section 3.1).
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker"`)
		return refuse(http.StatusUnauthorized, "A Bearer token is required.")
	}
}

// tokenOf returns the token that a request presents.
func (g *Gate) tokenOf(r *http.Request) (token string, presented bool) {
	if token, presented = bearerToken(r); presented || !g.Browsers {
		return token, presented
	}
	_, password, presented := r.BasicAuth()
	return password, presented
}

// admitsPeer reports whether the direct peer's address is allowed. Forwarded addresses
// do not count, because clients can forge them.
func (g *Gate) admitsPeer(r *http.Request) bool {
	// Access to unix sockets is restricted by file permissions.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if ok && strings.HasPrefix(local.Network(), "unix") {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	if len(g.allowed) == 0 {
		return address.IsLoopback()
	}
	for _, prefix := range g.allowed {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// checkOrigin prevents web pages from publishing through a browser whose address is
// allowed, for example one on the server itself.
func (g *Gate) checkOrigin(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil // browsers do not let pages of other origins read the answer
	}
	if err := g.crossOrigin.Check(r); err != nil {
		return errors.New("it has another origin")
	}
	// With DNS rebinding, a page has the same origin as this server. It does not know
	// a token, and its origin is a name, not an address.
	origin := r.Header.Get("Origin")
	if origin != "" && len(g.tokens) == 0 && !isLiteralOrigin(origin) {
		return errors.New("without a token, its origin must be an IP address or localhost")
	}
	return nil
}

// isLiteralOrigin reports whether the host of an origin is an IP address or localhost,
// which cannot be resolved to another address.
func isLiteralOrigin(origin string) bool {
	parsed, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := parsed.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// bearerToken returns the Bearer token of a request (RFC 6750, section 2.1).
func bearerToken(r *http.Request) (token string, presented bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.Trim(token, " ")
	return token, token != "" && strings.EqualFold(scheme, "Bearer")
}

// admitsToken reports whether the token is one of the gate's tokens. It compares all
// tokens in constant time, so that the time reveals nothing about them.
func (g *Gate) admitsToken(token string) bool {
	presented := sha256.Sum256([]byte(token))
	equal := 0
	for _, digest := range g.tokens {
		equal |= subtle.ConstantTimeCompare(presented[:], digest[:])
	}
	return equal == 1
}
