package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// peopleSite has parker in front of handlers that are chosen by everything that a route
// can match.
const peopleSite = `
(backend) {
	reverse_proxy {$BACKEND} {
		header_up X-Route {args[0]}
		header_up X-Cert {tls_client_fingerprint}
	}
}
(route) {
	vars team {header.X-Team}
	map {header.X-Role} {role} {
		staff   boss
		default guest
	}
	@feed path /feed
	parker_notify @feed {
		across_sites
	}
	parker @feed {
		across_sites
		nothing_new {
			status 204
			json /messages
		}
		OPTIONS
	}
	@near remote_ip 127.0.0.2 127.0.0.3
	handle @near {
		import backend near
	}
	@red vars {vars.team} red
	handle @red {
		import backend red
	}
	@boss expression "{role} == 'boss' || {tls_client_subject} != '' && {method} == 'GET'"
	handle @boss {
		import backend boss
	}
	handle {
		import backend others
	}
}
http://{$SITE} {
	import route
}
https://{$TLS_SITE} {
	tls internal {
		client_auth {
			mode request
		}
	}
	import route
}
http://{$HOOK} {
	parker_publish
}
`

// personal is a backend that names the caller in each answer, by a digest of the fields of
// the request. It has a feed, of which only the number of entries is known.
type personal struct{ entries, asks atomic.Int64 }

// callerOf ignores the fields in which the requests of one person differ, and cookies that
// the backend has set itself.
func callerOf(r *http.Request) string {
	header := maps.Clone(r.Header)
	for _, name := range []string{"Accept", "Accept-Encoding", "Content-Length", "Prefer", "Cookie"} {
		delete(header, name)
	}
	cookies := strings.Split(strings.Join(r.Header["Cookie"], "; "), "; ")
	cookies = slices.DeleteFunc(cookies, func(pair string) bool { return pair == "" || strings.HasPrefix(pair, "for=") })
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q", cookies, header)))[:16]
}

// ServeHTTP answers late, with cookies, in parts and with long bodies at random.
func (b *personal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var since int64
	fmt.Sscanf(r.URL.RawQuery, "since=%d", &since)
	if r.Method == http.MethodPost {
		b.entries.Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	caller, ask, entries := callerOf(r), b.asks.Add(1), b.entries.Load()
	<-time.After(rand.N(3 * time.Millisecond))
	w.Header().Set("Vary", []string{"X-Tenant, Accept-Language", "accept-language , ,x-tenant", "Origin, ACCEPT-LANGUAGE,X-TENANT"}[rand.N(3)])
	w.Header().Set("X-For", caller)
	w.Header().Set("X-Ask", fmt.Sprint(ask))
	if rand.N(10) == 0 {
		w.Header().Set("Set-Cookie", fmt.Sprintf("for=%s-%d", caller, ask))
	}
	if entries <= since && rand.N(2) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	messages, padding := []int64{}, 10
	if entries > since {
		messages, padding = append(messages, entries), []int{10, 100_000}[rand.N(10)/9]
	}
	chunks(w, fmt.Sprintf(`{"for":%q,"ask":"%d",`, caller, ask), fmt.Sprintf(`"messages":%d,"padding":%q}`, messages, strings.Repeat(" ", padding)))
}

// person is a user who differs from the others in one thing.
type person struct {
	lines []string // header lines
	as    caddytest.As
}

// people returns persons who differ in a field, in their address, in a certificate, or in
// what a route matches. Some would be equal if fields or their lines were joined.
func people(t *testing.T) (all []person) {
	for _, text := range []string{
		"", "Cookie: a=1", "Cookie: a=1; b=2", "Cookie: b=2; a=1", "Cookie: a=1|Cookie: b=2", "Cookie: a=1Basic eA==", "Cookie: a=1|Authorization: Basic eA==", "Authorization: Basic eA==",
		"Authorization: Bearer eA==", "X-Tenant: red", "X-Tenant: red,blue", "X-Tenant: red|X-Tenant: blue", "Accept-Language: de", "Accept-Language: en", "User-Agent: red",
		"X-Team: red", "X-Role: staff", "X-Api-Key: a", "X-Auth-Token: a", "Remote-User: a", "Referer: a", "Origin: https://a.example", "X-Forwarded-For: 192.0.2.1", "Via: a", "Depth: 1",
		"X-Anything: " + crand.Text(), "Range: bytes=0-1", `If-None-Match: "a"`, "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
	} {
		all = append(all, person{lines: strings.FieldsFunc(text, func(r rune) bool { return r == '|' })})
	}
	for _, address := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.9"} {
		all = append(all, person{as: caddytest.As{Address: netip.MustParseAddr(address)}})
	}
	return append(all, person{as: caddytest.As{Certificate: certificate(t)}}, person{as: caddytest.As{Certificate: certificate(t)}})
}

// certificate returns a self-signed certificate.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(rand.Int64()), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// guest is a person with a client, and the name that the backend has for such a client.
type guest struct {
	person
	*caddytest.Client
	known string
	audience
}

// audience counts how many answers each ask, and each cookie, was in.
type audience struct {
	mu      *sync.Mutex // guards asks and cookies
	asks    map[string]int
	cookies map[string]int
}

// RoundTrip sends a request of the person. It repeats one whose connection the server
// closed at a reload.
func (v *guest) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	for _, line := range v.lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	for range 3 {
		if answer, err = v.Transport.RoundTrip(r); err == nil || r.Context().Err() != nil {
			break
		}
	}
	return answer, err
}

// check checks that nothing in an answer or an event is for another guest.
func (v *guest) check(t *testing.T, what string, header http.Header, body string) {
	if whom := header.Get("X-For"); whom != "" && whom != v.known || body != "" && (!strings.HasPrefix(body, fmt.Sprintf(`{"for":%q,`, v.known)) || !strings.HasSuffix(body, "}")) {
		t.Errorf("%q from %s by %s, whom the backend calls %s, got %s with %v: %.100s", v.lines, v.as.Address, v.Protocol, v.known, what, header, body)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, after, ok := strings.Cut(body, `"ask":"`); ok {
		ask, _, _ := strings.Cut(after, `"`)
		v.asks[ask]++
	}
	for _, line := range header["Set-Cookie"] {
		if v.cookies[line]++; !strings.HasPrefix(line, "for="+v.known+"-") || v.cookies[line] > 1 {
			t.Errorf("%q, whom the backend calls %s, got the cookie %s, given %d times", v.lines, v.known, line, v.cookies[line])
		}
	}
}

// visit polls and listens, and sometimes disconnects early, until the context ends.
func (v *guest) visit(t *testing.T, ctx context.Context, written *atomic.Int64) {
	for ctx.Err() == nil {
		url := fmt.Sprintf("%s/feed?since=%d", v.URL, written.Load()-rand.N[int64](4)/3)
		if rand.N(6) == 0 {
			s := caddytest.ListenWith(t, v, url)
			v.check(t, "a stream", s.Header, "")
			for range 3 {
				if e, ok, _ := s.NextWithin(100 * time.Millisecond); ok {
					v.check(t, "an event", nil, e.Data)
				}
			}
			s.Leave()
			continue
		}
		visit, leave := ctx, func() {}
		if rand.N(5) == 0 {
			visit, leave = context.WithTimeout(ctx, rand.N(30*time.Millisecond))
		}
		g := caddytest.DoWith(visit, v, http.MethodGet, url, "", fmt.Sprintf("Prefer: wait=%d", 5*min(rand.N(4), 1)))
		if left := visit.Err() != nil; !left && (g.Err != nil || g.Status != 200 && g.Status != 204) {
			t.Errorf("%q by %s was answered %d, %v", v.lines, v.Protocol, g.Status, g.Err)
		} else if !left {
			v.check(t, "an answer", g.Header, g.Body)
		}
		leave()
	}
}

func TestShareNeverGivesAnothersAnswer(t *testing.T) {
	// Guests of one protocol, so that persons differ in nothing else.
	for part, x := range []struct {
		options  string
		protocol caddytest.Protocol
	}{{"timeout 55s", caddytest.HTTP1TLS}, {"asks 4\nspread 20ms", caddytest.HTTP3}, {"reuse 30ms\nwatch 50ms", caddytest.HTTP2}} {
		t.Run(string(x.protocol), func(t *testing.T) {
			t.Parallel()
			site := strings.Replace(peopleSite, "OPTIONS", x.options, 1)
			caddy := caddytest.StartSecure(t, site, caddytest.Serve(t, new(personal).ServeHTTP))
			all := audience{new(sync.Mutex), make(map[string]int), make(map[string]int)}
			ctx, leave := context.WithCancel(t.Context())
			var visiting sync.WaitGroup
			var written atomic.Int64
			defer visiting.Wait()
			defer leave()
			persons := people(t) // each differs from the first in one thing
			third := (len(persons) + 2) / 3
			for _, p := range slices.Repeat(append(slices.Clip(persons[part*third:min((part+1)*third, len(persons))]), persons[0]), 3) {
				v := &guest{person: p, Client: caddy.ClientAs(t, x.protocol, p.as), audience: all}
				around := caddytest.DoWith(ctx, v, http.MethodGet, v.URL+"/around", "")
				if v.known = around.Header.Get("X-For"); v.known == "" {
					t.Fatalf("the backend has no name for %q: %+v", p.lines, around)
				}
				visiting.Go(func() { v.visit(t, ctx, &written) })
			}
			shared := func() (n int) {
				all.mu.Lock()
				defer all.mu.Unlock()
				for _, answers := range all.asks {
					n += min(answers-1, 1)
				}
				return n
			}
			// Write, or wake all without news, until enough asks were shared.
			i := 0
			caddytest.Await(t, "asks are shared", func() bool {
				i++
				if rand.N(3) == 0 {
					caddy.Publish(t, "feed", "", "")
				} else {
					caddytest.Do(ctx, http.MethodPost, "http://"+caddy.Site+"/feed", "")
					written.Add(1)
				}
				if x.protocol == caddytest.HTTP2 && i%10 == 0 {
					caddy.MustLoad(t, strings.Replace(site, x.options, fmt.Sprintf("%s\nmax_body %dKB", x.options, 50+rand.N(20)), 1))
				}
				return i >= 40 && shared() >= 20
			})
			t.Logf("%d asks were answered, %d of them shared", len(all.asks), shared())
		})
	}
}
