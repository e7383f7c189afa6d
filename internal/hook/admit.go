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

// Gate decides who may use what is not for everybody.
type Gate struct {
	// Browsers lets a token also be presented as the password of Basic credentials,
	// whatever the user name: that is what a browser asks for. It suits only what
	// changes nothing, as browsers present them for pages of other origins too.
	Browsers bool

	// Directive is the one whose options say who may pass: refusals name it.
	Directive string

	tokens      []tokenDigest
	allowed     []netip.Prefix
	crossOrigin http.CrossOriginProtection
}

// NewGate makes a gate. If there are tokens, each request must present one of them;
// global placeholders such as {env.TOKEN} are replaced in them. allow lists the peers
// that may pass, as CIDR ranges, single addresses or the word private_ranges; none
// stands for loopback addresses.
//
// The error names the token, by its number, or the word of allow that is wrong.
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

// tokenDigest is what is kept of a token. Digests are of one length, so comparing
// them does not tell the length of the token either.
type tokenDigest = [sha256.Size]byte

// digestTokens refuses tokens that no Authorization field can carry. Its errors
// never quote a token.
func digestTokens(tokens []string) ([]tokenDigest, error) {
	var digests []tokenDigest
	replacer := caddy.NewReplacer()
	for i, token := range tokens {
		// An unset variable must not leave the gate open, or a token empty.
		token, err := replacer.ReplaceOrErr(token, true, true)
		switch {
		case err != nil:
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		case token == "":
			return nil, fmt.Errorf("token %d is empty", i+1)
		case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("token %d holds a character other than visible ASCII", i+1)
		}
		digests = append(digests, sha256.Sum256([]byte(token)))
	}
	return digests, nil
}

// parseAllow reads CIDR ranges, single addresses and Caddy's private_ranges.
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
			// Peers are compared unmapped, so a mapped range would match none.
			if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
				prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
			}
			prefixes = append(prefixes, prefix)
		}
	}
	return prefixes, nil
}

// Admit decides who may pass: the peer by its address, no foreign web page, and
// where tokens are configured, only who presents one. Else it says why not.
func (g *Gate) Admit(w http.ResponseWriter, r *http.Request) *Problem {
	if !g.admitsPeer(r) {
		return refuse(http.StatusForbidden, fmt.Sprintf(
			"This is not open to your address. The option allow of %s says which addresses may use it, by default only loopback; if there is a proxy in between, its address counts.", g.Directive))
	}
	if err := g.checkOrigin(r); err != nil {
		return refuse(http.StatusForbidden, "A web page may not publish here: "+err.Error()+".")
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
		return refuse(http.StatusUnauthorized, "A token is asked for: as a Bearer token, or as the password for any user name.")
	case presented:
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`)
		return refuse(http.StatusUnauthorized, "The Bearer token is not one that is admitted.")
	default:
		// Without a token there is no error to name (RFC 6750, section 3.1).
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker"`)
		return refuse(http.StatusUnauthorized, "A Bearer token is asked for.")
	}
}

// tokenOf is the token that a request presents.
func (g *Gate) tokenOf(r *http.Request) (token string, presented bool) {
	if token, presented = bearerToken(r); presented || !g.Browsers {
		return token, presented
	}
	_, password, presented := r.BasicAuth()
	return password, presented
}

// admitsPeer goes by the connection's own peer: a forwarded address is the
// client's word only.
func (g *Gate) admitsPeer(r *http.Request) bool {
	// Who may open a unix socket is the file system's to say.
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

// checkOrigin keeps web pages from publishing through a browser that runs where
// the gate is open, on the server itself above all.
func (g *Gate) checkOrigin(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil // browsers keep the answer from pages of other origins
	}
	if err := g.crossOrigin.Check(r); err != nil {
		return errors.New("it is of another origin")
	}
	// A page whose own name is made to point here once it is loaded (DNS
	// rebinding) is of the same origin. It knows no token, and it has a name.
	origin := r.Header.Get("Origin")
	if origin != "" && len(g.tokens) == 0 && !isLiteralOrigin(origin) {
		return errors.New("without a token, only one whose origin is an address or localhost may")
	}
	return nil
}

// isLiteralOrigin tells whether the host of an origin is an IP address or
// localhost, which no DNS server can point elsewhere.
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

// bearerToken is the token that a request presents (RFC 6750, section 2.1).
func bearerToken(r *http.Request) (token string, presented bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.Trim(token, " ")
	return token, token != "" && strings.EqualFold(scheme, "Bearer")
}

// admitsToken compares with every token, so that the time taken tells neither how
// much of a token was right nor which one it was.
func (g *Gate) admitsToken(token string) bool {
	presented := sha256.Sum256([]byte(token))
	equal := 0
	for _, digest := range g.tokens {
		equal |= subtle.ConstantTimeCompare(presented[:], digest[:])
	}
	return equal == 1
}
