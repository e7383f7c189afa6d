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

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// tokenDigest is what is kept of a token. Digests are of one length, so comparing
// them does not tell the length of the token either.
type tokenDigest = [sha256.Size]byte

// digestTokens refuses tokens that no Authorization field can carry. Its errors
// never quote a token.
func digestTokens(tokens []string) ([]tokenDigest, error) {
	var digests []tokenDigest
	for i, token := range tokens {
		switch {
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

// admit decides who may use the hook: the peer by its address, no foreign web
// page, and where tokens are configured, only who presents one.
func (h *Hook) admit(w http.ResponseWriter, r *http.Request) *problem {
	if !h.admitsPeer(r) {
		return refuse(http.StatusForbidden, "The hook is not open to this address.")
	}
	if err := h.checkOrigin(r); err != nil {
		return refuse(http.StatusForbidden, "A web page may not publish here: "+err.Error()+".")
	}
	if len(h.tokens) == 0 {
		return nil
	}
	token, presented := bearerToken(r)
	switch {
	case !presented:
		// Without a token there is no error to name (RFC 6750, section 3.1).
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker"`)
		return refuse(http.StatusUnauthorized, "The hook asks for a Bearer token.")
	case !h.admitsToken(token):
		w.Header().Set("WWW-Authenticate", `Bearer realm="parker", error="invalid_token"`)
		return refuse(http.StatusUnauthorized, "The Bearer token is not one that opens the hook.")
	}
	return nil
}

// admitsPeer goes by the connection's own peer: a forwarded address is the
// client's word only.
func (h *Hook) admitsPeer(r *http.Request) bool {
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
	if len(h.allowed) == 0 {
		return address.IsLoopback()
	}
	for _, prefix := range h.allowed {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// checkOrigin keeps web pages from publishing through a browser that runs where
// the hook is open, on the server itself above all.
func (h *Hook) checkOrigin(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil // browsers keep the answer from pages of other origins
	}
	if err := h.crossOrigin.Check(r); err != nil {
		return errors.New("it is of another origin")
	}
	// A page whose own name is made to point here once it is loaded (DNS
	// rebinding) is of the same origin. It knows no token, and it has a name.
	origin := r.Header.Get("Origin")
	if origin != "" && len(h.tokens) == 0 && !isLiteralOrigin(origin) {
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
func (h *Hook) admitsToken(token string) bool {
	presented := sha256.Sum256([]byte(token))
	equal := 0
	for _, digest := range h.tokens {
		equal |= subtle.ConstantTimeCompare(presented[:], digest[:])
	}
	return equal == 1
}
