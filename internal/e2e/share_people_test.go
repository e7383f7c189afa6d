package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// person is somebody who differs from everybody else in one thing.
type person struct {
	what string // that thing
	line string // a field, or empty
	as   caddytest.As
}

// people returns persons, each with another random thing: a field of any name, an
// address, a certificate, or something by which the route goes.
func people(t *testing.T, n int) []person {
	all := []person{{what: "nothing"}}
	known := make(map[string]bool)
	for len(all) < n {
		p := somebody(t, len(all))
		if !known[p.what] {
			known[p.what] = true
			all = append(all, p)
		}
	}
	return all
}

func somebody(t *testing.T, number int) (p person) {
	names := []string{
		"X-Auth-Token", "X-Api-Key", "PRIVATE-TOKEN", "Remote-User", "X-Requested-With", "Accept-Language", "User-Agent", "Referer",
		"Cookie", "Authorization", "X-Forwarded-For", "X-Team", "X-Role", "Dnt", "Via",
		"X-" + strings.ToLower(crand.Text()[:4]),
	}
	switch rand.N(8) {
	case 0:
		p.as.Address = netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + rand.N(20))})
		p.what = "the address " + p.as.Address.String()
	case 1:
		p.as.Certificate = certificate(t)
		p.what = fmt.Sprint("certificate ", number)
	default:
		name := names[rand.N(len(names))]
		value := []string{"staff", "red", "a=1", "1"}[rand.N(4)]
		p.line = name + ": " + value
		p.what = p.line
	}
	return p
}

// certificate makes one that nobody has signed.
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

// guest is a person with a client, and how the backend calls somebody like that.
type guest struct {
	person
	client   *caddytest.Client
	known    string
	audience *audience
}

func (v *guest) String() string { return v.what + " by " + string(v.client.Protocol) }

func (v *guest) header(more ...string) []string {
	if v.line != "" {
		more = append(more, v.line)
	}
	return more
}

// introduce asks the backend, by a way around parker, how it calls the guest.
func (v *guest) introduce(t *testing.T) {
	t.Helper()
	g := v.client.Do(t.Context(), http.MethodGet, "/around/0", "", v.header()...)
	if v.known = g.Header.Get("X-For"); g.Err != nil || v.known == "" {
		t.Fatalf("the backend does not know %s: %+v", v, g)
	}
}

// visit polls and listens as long as it goes on.
func (v *guest) visit(t *testing.T) {
	var since [2]int64
	for v.audience.goesOn() {
		feed := rand.N(2)
		path := fmt.Sprintf("/feed/%d?since=%d", feed, since[feed])
		if rand.N(6) == 0 {
			v.listen(t, path)
			continue
		}
		if entry, ok := v.poll(t, path); ok {
			since[feed] = entry
		}
	}
}

// poll asks once, sometimes impatiently, and leaves now and then. It returns the entry
// that it was given, if it is to go on from there.
func (v *guest) poll(t *testing.T, path string) (entry int64, ok bool) {
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	leaves := rand.N(5) == 0
	if leaves {
		time.AfterFunc(rand.N(30*time.Millisecond), leave)
	}
	wait := "Prefer: wait=5"
	if rand.N(4) == 0 {
		wait = "Prefer: wait=0"
	}
	g := v.client.Do(ctx, http.MethodGet, path, "", v.header(wait)...)
	if (leaves || v.audience.reloads) && g.Err != nil {
		return 0, false // a server that is replaced may close a connection under a request
	}
	v.check(t, g)
	v.audience.answered(g.Header.Get("X-Ask"))
	_, messages, found := strings.Cut(g.Body, `"messages":[`)
	if n, _ := fmt.Sscan(messages, &entry); !found || n == 0 || rand.N(10) == 0 {
		return 0, false
	}
	return entry, true
}

// check looks for anything in the answer that is for somebody else.
func (v *guest) check(t *testing.T, g caddytest.Answer) {
	if g.Err != nil || g.Status != 200 && g.Status != 204 {
		t.Errorf("%s was answered %d, %v", v, g.Status, g.Err)
		return
	}
	if whom := g.Header.Get("X-For"); whom != v.known {
		t.Errorf("%s was given the header for %s, release=%s", v, v.audience.name(whom), g.Release())
	}
	if g.Status == 200 && !strings.HasPrefix(g.Body, fmt.Sprintf(`{"for":%q,`, v.known)) {
		t.Errorf("%s was given the body %.100s, release=%s", v, g.Body, g.Release())
	}
	if g.Status == 200 && !strings.HasSuffix(g.Body, "}") {
		t.Errorf("%s was given a part only: %d bytes, release=%s", v, len(g.Body), g.Release())
	}
	for _, line := range g.Header["Set-Cookie"] {
		if line != "for="+v.known {
			t.Errorf("%s was given the cookie %s, release=%s", v, line, g.Release())
		}
	}
}

// listen opens a stream and leaves after a while.
func (v *guest) listen(t *testing.T, path string) {
	ctx, leave := context.WithTimeout(t.Context(), rand.N(300*time.Millisecond))
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.client.URL+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	for _, line := range v.header("Accept: text/event-stream") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	answer, err := v.client.Transport.RoundTrip(r)
	if err != nil {
		return // it has left before
	}
	defer answer.Body.Close()
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && !strings.HasPrefix(data, fmt.Sprintf(`{"for":%q,`, v.known)) {
			t.Errorf("%s was sent the event %.100s", v, data)
		}
	}
}
