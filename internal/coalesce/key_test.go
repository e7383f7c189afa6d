package coalesce

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
)

// asked is a request as Caddy hands it to parker. The zero value is a plain one.
type asked struct {
	method, target, host, body string
	rewrittenFrom              string // the target as the client sent it
	header                     http.Header
	trailer                    http.Header
	remote, proto              string
	local                      net.Addr
	tls                        *tls.ConnectionState
	vars                       map[string]any
	user                       string // that was authenticated
	channels                   []string
	position                   bool
	varies                     []string
}

// key returns the key that a rule gives the request.
func (a asked) key(t *testing.T, rule Rule) Key {
	t.Helper()
	return rule.Key(a.request(t))
}

func (a asked) request(t testing.TB) Request {
	t.Helper()
	or := func(value, other string) string {
		if value == "" {
			return other
		}
		return value
	}
	target := or(a.target, "/messages?since=1")
	r := httptest.NewRequest(or(a.method, http.MethodGet), target, strings.NewReader(a.body))
	r.Host, r.Proto, r.RemoteAddr, r.TLS = or(a.host, "a.example"), or(a.proto, "HTTP/1.1"), or(a.remote, "192.0.2.1:1000"), a.tls
	r.Header = a.header.Clone()
	r.Trailer = a.trailer
	local := a.local
	if local == nil {
		local = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 443}
	}
	vars := map[string]any{"start_time": rand.Int(), "client_ip": "198.51.100.1"}
	maps.Copy(vars, a.vars)
	original := *r
	original.RequestURI = or(a.rewrittenFrom, target)
	original.URL = httptest.NewRequest(http.MethodGet, original.RequestURI, nil).URL
	replacer := caddy.NewReplacer()
	replacer.Set("http.auth.user.id", a.user)
	replacer.Set("http.request.header.X-Team", r.Header.Get("X-Team"))
	replacer.Set("http.request.cookie.session", r.Header.Get("Cookie"))
	ctx := r.Context()
	for key, value := range map[any]any{
		http.LocalAddrContextKey:        local,
		caddyhttp.VarsCtxKey:            vars,
		caddyhttp.OriginalRequestCtxKey: original,
		caddy.ReplacerCtxKey:            replacer,
	} {
		ctx = context.WithValue(ctx, key, value)
	}
	r = r.WithContext(ctx)
	kept, err := ask.Keep(r, 100)
	if err != nil {
		t.Fatal(err)
	}
	return Request{HTTP: r, Kept: kept, Channels: append([]string{"messages"}, a.channels...), Position: a.position, Body: kept.Body(), Varies: a.varies}
}

// of makes a header of lines such as "Name: value".
func of(lines ...string) asked {
	header := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return asked{header: header}
}

func secure(change func(*tls.ConnectionState)) asked {
	state := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: "a.example"}
	change(state)
	return asked{tls: state}
}

func withVariable(value any) asked { return asked{vars: map[string]any{"group": value}} }

// told are requests that only the safe rule tells from a plain one.
var told = map[string]asked{
	"an API key":                 of("X-Api-Key: a"),
	"another API key":            of("X-Api-Key: b"),
	"an empty field":             of("X-Api-Key: "),
	"a field twice":              of("X-Api-Key: a", "X-Api-Key: b"),
	"its lines in another order": of("X-Api-Key: b", "X-Api-Key: a"),
	"another field":              of("X-Auth-Token: a"),
	"two fields":                 of("X-Auth-Token: a", "X-Api-Key: b"),
	"two fields, swapped":        of("X-Auth-Token: b", "X-Api-Key: a"),
	"a cookie":                   of("Cookie: session=a"),
	"credentials":                of("Authorization: Bearer a"),
	"a user from a proxy":        of("Remote-User: a"),
	"a forwarded address":        of("X-Forwarded-For: 192.0.2.7"),
	"a browser":                  of("User-Agent: curl"),
	"a preference in between":    of("Dnt: 1"),
	"a trailer":                  {trailer: http.Header{"X-Sum": {"1"}}, body: "a", method: http.MethodPost},
	"the body without it":        {body: "a", method: http.MethodPost},
	"another address":            {remote: "192.0.2.2:1000"},
	"an address of IPv6":         {remote: "[2001:db8::1]:1000"},
	"a Unix socket":              {remote: "@"},
	"another local port":         {local: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 444}},
	"another local address":      {local: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 8), Port: 443}},
	"a local socket":             {local: &net.UnixAddr{Name: "/run/caddy.sock", Net: "unix"}},
	"another protocol":           {proto: "HTTP/2.0"},
	"a certificate":              secure(func(s *tls.ConnectionState) { s.PeerCertificates = []*x509.Certificate{{Raw: []byte("a")}} }),
	"another certificate":        secure(func(s *tls.ConnectionState) { s.PeerCertificates = []*x509.Certificate{{Raw: []byte("b")}} }),
	"another server name":        secure(func(s *tls.ConnectionState) { s.ServerName = "b.example" }),
	"another version of TLS":     secure(func(s *tls.ConnectionState) { s.Version = tls.VersionTLS12 }),
	"a text as variable":         withVariable("1"),
	"a number as variable":       withVariable(1),
	"a fraction as variable":     withVariable(1.5),
	"no value as variable":       withVariable(nil),
	"false as variable":          withVariable(false),
	"true as variable":           withVariable(true),
	"a list as variable":         withVariable([]any{"a", "b"}),
	"a longer list":              withVariable([]any{"a", "b", nil}),
	"a list of texts":            withVariable([]string{"a", "b"}),
	"an object":                  withVariable(map[string]any{"a": "b"}),
	"another object":             withVariable(map[string]any{"a": "c"}),
	"fields as variable":         withVariable(http.Header{"A": {"b"}}),
	"an unknown type":            withVariable(struct{ name string }{"a"}),
	"an unknown type in a list":  withVariable([]any{struct{ name string }{"a"}}),
	"a variable by Caddy's name": {vars: map[string]any{"uuid": "1"}},
	"another variable":           {vars: map[string]any{"team": "1"}},
	"another client of a proxy":  {vars: map[string]any{"client_ip": "198.51.100.2"}},
	"a trusted proxy":            {vars: map[string]any{"trusted_proxy": true}},
	"a user":                     {user: "a"},
	"another user":               {user: "b"},
	"a query taken away":         {rewrittenFrom: "/messages?since=1&_=2"},
}

// toldAlways are requests that every rule tells from a plain one, and from those above.
var toldAlways = map[string]asked{
	"another method":         {method: http.MethodHead},
	"another host":           {host: "b.example"},
	"another query":          {target: "/messages?since=2"},
	"another path":           {target: "/messages%2F?since=1"},
	"a rewritten path":       {rewrittenFrom: "/other?since=1"},
	"a body":                 {method: http.MethodPost, body: "b"},
	"no body":                {method: http.MethodPost},
	"another channel":        {channels: []string{"b"}},
	"TLS":                    secure(func(*tls.ConnectionState) {}),
	"a language":             of("Accept-Language: de"),
	"a media type":           of("Accept: text/html"),
	"a validator":            of(`If-None-Match: "a"`),
	"a date":                 of("If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT"),
	"an origin":              of("Origin: https://a.example"),
	"a content type":         of("Content-Type: text/xml"),
	"the depth 0":            of("Depth: 0"),
	"the depth 1":            of("Depth: 1"),
	"an action":              of(`SOAPAction: "a"`),
	"another method by name": of("X-HTTP-Method-Override: PUT"),
	"a script":               of("X-Requested-With: XMLHttpRequest"),
	"a forwarded host":       of("Forwarded: host=b.example"),
	"a part of a page":       of("X-Inertia: true", "X-Inertia-Partial-Data: a"),
	"a fragment":             of("HX-Request: true"),
	"the backend's event ID": of("Last-Event-ID: 41"),
	"a preference":           of("Prefer: return=minimal"),
	"a preference and wait":  of("Prefer: wait=5, return=representation"),
	"a field taken out":      of("Connection: X-Api-Key"),
	"what varied":            {varies: []string{"X-Varied"}, header: http.Header{"X-Varied": {"a"}}},
	"what varied otherwise":  {varies: []string{"X-Varied"}, header: http.Header{"X-Varied": {"b"}}},
}

// alike are requests that no rule tells from a plain one.
var alike = map[string]asked{
	"another port":          {remote: "192.0.2.1:2000"},
	"a kept connection":     of("Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive"),
	"a trace":               of("Traceparent: 00-a-b-01", "Tracestate: a=b", "X-Request-ID: 1", "X-Correlation-ID: 2", "X-Amzn-Trace-Id: 3", "CF-Ray: 4"),
	"a priority":            of("Priority: u=1"),
	"a preferred wait":      of("Prefer: wait=20"),
	"parker's position":     {header: http.Header{"Last-Event-Id": {"parker.ABCDEFGHIJ-1"}}, position: true},
	"Caddy's own variables": {vars: map[string]any{"uuid": new(int), "trace_id": "a", "span_id": "b", "reverse_proxy.proxy_protocol_info": new(int)}},
}

func TestKeyTellsAllRequestsApartByDefault(t *testing.T) {
	keys := map[Key]string{{}: "no request", asked{}.key(t, Rule{}): "a plain request"}
	for _, requests := range []map[string]asked{told, toldAlways} {
		for name, request := range requests {
			key := request.key(t, Rule{})
			if other, taken := keys[key]; taken {
				t.Errorf("%s and %s have one key", name, other)
			}
			keys[key] = name
		}
	}
	for name, request := range alike {
		if keys[request.key(t, Rule{})] != "a plain request" {
			t.Errorf("%s has a key of its own", name)
		}
	}
}

func TestKeyOfSharingRuleTellsSelectingFieldsApart(t *testing.T) {
	for name, rule := range map[string]Rule{
		"public": RuleOf(nil, true),
		"values": RuleOf([]string{"{http.request.header.X-Team}", "{http.request.cookie.session}"}, false),
	} {
		t.Run(name, func(t *testing.T) {
			plain := asked{}.key(t, rule)
			keys := map[Key]string{plain: "a plain request"}
			for name, request := range toldAlways {
				key := request.key(t, rule)
				if other, taken := keys[key]; taken {
					t.Errorf("%s and %s have one key", name, other)
				}
				keys[key] = name
			}
			same := maps.Clone(alike)
			for _, name := range []string{"another API key", "credentials", "another address", "another protocol", "a text as variable", "an unknown type", "a user", "a query taken away"} {
				same[name] = told[name]
			}
			for name, request := range same {
				if request.key(t, rule) != plain {
					t.Errorf("%s has a key of its own", name)
				}
			}
		})
	}
}

func TestKeyOfValuesTellsThemApart(t *testing.T) {
	rule := RuleOf([]string{"{http.request.header.X-Team}", "{http.request.cookie.session}"}, false)
	var keys []Key
	for _, header := range [][]string{nil, {"X-Team: a"}, {"X-Team: b"}, {"Cookie: a"}, {"X-Team: a", "Cookie: b"}, {"X-Team: ab"}, {"X-Team: a", "X-Team: b"}} {
		keys = append(keys, of(header...).key(t, rule))
	}
	slices.SortFunc(keys, func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	if distinct := len(slices.Compact(keys)); distinct != 7 {
		t.Errorf("7 requests have %d keys", distinct)
	}
}

// An unknown value may hide what requests differ in: not even the same request shares.
func TestKeyOfIncomparableVariableIsUnique(t *testing.T) {
	request := told["an unknown type"]
	if key := request.key(t, Rule{}); key == request.key(t, Rule{}) {
		t.Error("two requests have one key")
	}
}

func BenchmarkKey(b *testing.B) {
	request := of("Accept: */*", "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: de-DE,de;q=0.9", "Cookie: session="+strings.Repeat("a", 60),
		"Referer: https://a.example/desk", "Sec-Ch-Ua: "+strings.Repeat("b", 60), "Sec-Ch-Ua-Mobile: ?0", "Sec-Ch-Ua-Platform: Linux", "Sec-Fetch-Dest: empty",
		"Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", "User-Agent: "+strings.Repeat("c", 100), "Priority: u=1, i", "Connection: keep-alive")
	for name, rule := range map[string]Rule{"everything": {}, "public": RuleOf(nil, true)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			q := request.request(b)
			for b.Loop() {
				rule.Key(q)
			}
		})
	}
}
