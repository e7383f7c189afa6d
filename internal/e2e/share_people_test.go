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
	"maps"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// person is a user who differs from the others in one thing.
type person struct {
	what  string   // that thing
	lines []string // header lines
	as    caddytest.As
}

// randomPersons returns persons who differ in a random thing each: a field of any name, an
// address, a certificate, or something that a route matches.
func randomPersons(t *testing.T, n int) []person {
	all := []person{{what: "nothing"}}
	known := make(map[string]bool)
	for len(all) < n {
		p := randomPerson(t, len(all))
		if !known[p.what] {
			known[p.what] = true
			all = append(all, p)
		}
	}
	return all
}

func randomPerson(t *testing.T, number int) (p person) {
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
		p.what = name + ": " + value
		p.lines = []string{p.what}
	}
	return p
}

// similar are values of fields that identify users. Some would be equal if the lines of a
// field were joined.
var similar = map[string][][]string{
	"Cookie":          {nil, {"a=1"}, {"a=1; b=2"}, {"a=1; b=2; c="}, {"a=1", "b=2"}, {"b=2", "a=1"}},
	"Authorization":   {nil, {"Basic eA=="}, {"Basic eA==red"}, {"Bearer eA=="}},
	"X-Tenant":        {nil, {"red"}, {"red,blue"}, {"red", "blue"}, {"red, blue"}, {"blue"}},
	"Accept-Language": {nil, {"de"}, {"en"}},
}

// similarPersons returns a random person, all that differ from it in one field, and two
// that would be equal if the fields were joined.
func similarPersons() (all []person) {
	one := make(http.Header)
	for name, values := range similar {
		one[name] = values[rand.N(len(values))]
	}
	add := func(header http.Header) {
		p := person{what: fmt.Sprintf("%q", header)}
		for name, values := range header {
			for _, value := range values {
				p.lines = append(p.lines, name+": "+value)
			}
		}
		all = append(all, p)
	}
	for name, values := range similar {
		for _, lines := range values {
			other := maps.Clone(one)
			other[name] = lines
			add(other)
		}
	}
	for range 2 {
		apart, together := maps.Clone(one), maps.Clone(one)
		apart["Cookie"], apart["Authorization"] = []string{"a=1"}, []string{"Basic eA=="}
		together["Cookie"], together["Authorization"] = []string{"a=1Basic eA=="}, nil
		add(apart)
		add(together)
	}
	return all
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
	client   *caddytest.Client
	known    string
	audience *audience
}

func (v *guest) String() string { return v.what + " by " + string(v.client.Protocol) }

func (v *guest) header(more ...string) []string { return append(more, v.lines...) }

// learnName asks the backend, on a route without parker, for its name of the guest.
func (v *guest) learnName(t *testing.T) {
	t.Helper()
	g := v.client.Do(t.Context(), http.MethodGet, "/around/0", "", v.header()...)
	if v.known = g.Header.Get("X-For"); g.Err != nil || v.known == "" {
		t.Fatalf("the backend has no name for %s: %+v", v, g)
	}
}

// visit polls and listens until the test ends, from one of the last two entries.
func (v *guest) visit(t *testing.T) {
	for v.audience.running() {
		feed := rand.N(v.audience.feeds)
		path := fmt.Sprintf("/feed/%d?since=%d", feed, v.audience.written[feed].Load()-rand.N[int64](2))
		if rand.N(6) == 0 {
			v.listen(t, path)
		} else {
			v.poll(t, path)
		}
	}
}

// poll polls once, sometimes without waiting, and sometimes disconnects early.
func (v *guest) poll(t *testing.T, path string) {
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
		return // a server that is replaced at a reload may close the connection
	}
	v.check(t, g)
	v.audience.answered(g.Header.Get("X-Ask"))
}

// check checks that nothing in the answer is for another guest.
func (v *guest) check(t *testing.T, g caddytest.Answer) {
	if v.audience.queues && g.Status == http.StatusServiceUnavailable {
		return
	}
	if g.Err != nil || g.Status != 200 && g.Status != 204 {
		t.Errorf("%s was answered %d, %v", v, g.Status, g.Err)
		return
	}
	if whom := g.Header.Get("X-For"); whom != v.known {
		t.Errorf("%s got the header for %s, release=%s", v, v.audience.name(whom), g.Release())
	}
	if g.Status == 200 && !strings.HasPrefix(g.Body, fmt.Sprintf(`{"for":%q,`, v.known)) {
		t.Errorf("%s got the body %.100s, release=%s", v, g.Body, g.Release())
	}
	if g.Status == 200 && !strings.HasSuffix(g.Body, "}") {
		t.Errorf("%s got an incomplete body of %d bytes, release=%s", v, len(g.Body), g.Release())
	}
	v.checkCookies(t, g.Header)
}

// checkCookies checks that the cookies are for the guest, and that no other answer has
// them.
func (v *guest) checkCookies(t *testing.T, header http.Header) {
	for _, line := range header["Set-Cookie"] {
		if !strings.HasPrefix(line, "for="+v.known+"-") {
			t.Errorf("%s got the cookie %s", v, line)
		}
		if !v.audience.given(line) {
			t.Errorf("the cookie %s is in several answers", line)
		}
	}
}

// listen opens a stream and disconnects after a random time.
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
		return // the guest has disconnected before
	}
	defer answer.Body.Close()
	if whom := answer.Header.Get("X-For"); whom != "" && whom != v.known {
		t.Errorf("%s got a stream with the header for %s", v, v.audience.name(whom))
	}
	v.checkCookies(t, answer.Header)
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		mine, ok := strings.CutPrefix(data, fmt.Sprintf(`{"for":%q,`, v.known))
		if !ok {
			t.Errorf("%s was sent the event %.100s", v, data)
		}
		if _, ask, found := strings.Cut(mine, `"ask":"`); found {
			ask, _, _ = strings.Cut(ask, `"`)
			v.audience.answered(ask)
		}
	}
}
