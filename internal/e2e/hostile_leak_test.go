package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// These are the fields of a request by which the backend tells who asks. Some would
// look alike if the lines of a field were joined.
var identities = map[string][][]string{
	"Cookie":          {nil, {"a=1"}, {"a=1; b=2"}, {"a=1; b=2; c="}, {"a=1", "b=2"}, {"b=2", "a=1"}},
	"Authorization":   {nil, {"Basic eA=="}, {"Basic eA==red"}, {"Bearer eA=="}},
	"X-Tenant":        {nil, {"red"}, {"red,blue"}, {"red", "blue"}, {"red, blue"}, {"blue"}},
	"Accept-Language": {nil, {"de"}, {"en"}},
}

// randomUsers are one and all that differ from it in a single field, and two that
// would look alike if a field were written behind the other.
func randomUsers(random *rand.Rand) (users []http.Header) {
	one := make(http.Header)
	names := slices.Sorted(maps.Keys(identities))
	for _, name := range names {
		one[name] = identities[name][random.IntN(len(identities[name]))]
	}
	differing := func(name string, lines []string) http.Header {
		other := maps.Clone(one)
		other[name] = lines
		return other
	}
	for _, name := range names {
		for _, lines := range identities[name] {
			users = append(users, differing(name, lines))
		}
	}
	apart := differing("Cookie", []string{"a=1"})
	apart["Authorization"] = []string{"Basic eA=="}
	together := differing("Cookie", []string{"a=1Basic eA=="})
	together["Authorization"] = nil
	return append(users, apart, together, apart, together)
}

// whoAsks is what the backend makes of them. Cookies that it has set itself do not
// count, and their order does not.
func whoAsks(header http.Header) string {
	var cookies []string
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, "; ") {
			if !strings.HasPrefix(pair, "for=") {
				cookies = append(cookies, pair)
			}
		}
	}
	slices.Sort(cookies)
	return fmt.Sprintf("%q %q %q %q", cookies, header["Authorization"], header["X-Tenant"], header["Accept-Language"])
}

// cookieFor is how a cookie begins that the backend sets. It ends with the ask.
func cookieFor(who string) string {
	digest := fnv.New64a()
	digest.Write([]byte(who))
	return fmt.Sprintf("for=%x-", digest.Sum64())
}

// echoed is what the backend says: to whom, and how many entries there are.
type echoed struct {
	For     string
	Ask     int64
	Entries []int64
}

// echoing is a backend that says in each answer who asked.
type echoing struct{ entries, asks atomic.Int64 }

func (b *echoing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		b.entries.Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var since int64
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	answer := echoed{For: whoAsks(r.Header), Ask: b.asks.Add(1), Entries: []int64{}}
	if entries := b.entries.Load(); entries > since {
		answer.Entries = append(answer.Entries, entries)
	}
	time.Sleep(rand.N(3 * time.Millisecond))
	header := w.Header()
	switch rand.N(3) {
	case 0:
		header["Vary"] = []string{"X-Tenant", "Accept-Language"}
	case 1:
		header["Vary"] = []string{"accept-language , ,x-tenant"}
	default:
		header["Vary"] = []string{"Origin, ACCEPT-LANGUAGE,X-TENANT"}
	}
	header.Set("X-For", answer.For)
	if rand.N(10) == 0 {
		header.Set("Set-Cookie", cookieFor(answer.For)+fmt.Sprint(answer.Ask))
	}
	text, _ := json.Marshal(answer)
	w.Write(text)
}

// visits notes how often what came of an ask was given, and each cookie.
type visits struct {
	mu      sync.Mutex // guards all below
	answers map[int64]int
	cookies map[string]int
}

func (v *visits) answer(ask int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers[ask]++
}

// shared counts the asks whose answer was given to several.
func (v *visits) shared() (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, given := range v.answers {
		if given > 1 {
			n++
		}
	}
	return n
}

func (v *visits) cookie(t *testing.T, line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cookies[line]++; v.cookies[line] > 1 {
		t.Errorf("the cookie %s was given to several", line)
	}
}

// visit is one request of a user, who leaves after a while.
func (v *visits) visit(t *testing.T, random *rand.Rand, user http.Header, target string) {
	ctx, leave := context.WithTimeout(t.Context(), time.Duration(20+random.IntN(400))*time.Millisecond)
	defer leave()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.Header = user.Clone()
	streams := random.IntN(3) == 0
	switch {
	case streams:
		r.Header.Set("Accept", "text/event-stream")
	case random.IntN(4) == 0:
		r.Header.Set("Prefer", "wait=0")
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusServiceUnavailable {
		return // its turn to ask did not come in time
	}
	who := whoAsks(user)
	if whom := answer.Header.Get("X-For"); !streams && whom != who || whom != "" && whom != who {
		t.Errorf("%s was given the header for %s: %v", who, whom, answer.Header)
	}
	for _, line := range answer.Header["Set-Cookie"] {
		if !strings.HasPrefix(line, cookieFor(who)) {
			t.Errorf("%s was given the cookie %s", who, line)
		}
		v.cookie(t, line)
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		text := lines.Text()
		if streams {
			data, ok := strings.CutPrefix(text, "data: ")
			if !ok {
				continue
			}
			text = data
		}
		var s echoed
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s was given %q", who, text)
		} else if s.For != who {
			t.Errorf("%s was given what is for %s (a stream: %t)", who, s.For, streams)
		}
		v.answer(s.Ask)
	}
}

// Users come and go at random, poll and listen, write and time out; answers are
// shared among those who are alike, and nobody ever gets another's.
func TestShareKeepsSimilarUsersApart(t *testing.T) {
	t.Parallel()
	backend := new(echoing)
	caddy := caddytest.Start(t, parking("nothing_new {\njson /Entries\n}\nreuse 20ms\nwatch 60ms\nasks 8\ntimeout 300ms"), caddytest.Serve(t, backend.ServeHTTP))
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	enough, last := time.Now().Add(1500*time.Millisecond), time.Now().Add(caddytest.Patience)
	all := &visits{answers: make(map[int64]int), cookies: make(map[string]int)}
	users := randomUsers(rand.New(rand.NewPCG(seed, 0)))
	goesOn := func() bool {
		return time.Now().Before(enough) || all.shared() < 10 && time.Now().Before(last)
	}
	var visiting sync.WaitGroup
	for i := range uint64(48) {
		random := rand.New(rand.NewPCG(seed, 1+i))
		visiting.Go(func() {
			for goesOn() {
				since := backend.entries.Load() - int64(random.IntN(2))
				all.visit(t, random, users[random.IntN(len(users))], fmt.Sprintf("http://%s/feed?since=%d", caddy.Site, since))
			}
		})
	}
	writer := rand.New(rand.NewPCG(seed, 1000))
	for goesOn() {
		if writer.IntN(3) == 0 {
			caddy.Publish(t, "feed", "", "")
		} else {
			caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/feed", "")
		}
		time.Sleep(time.Duration(writer.IntN(40)) * time.Millisecond)
	}
	visiting.Wait()
	if n := all.shared(); n < 10 {
		t.Errorf("%d of %d answers were shared: too few to tell", n, len(all.answers))
	}
	t.Logf("%d answers, %d of them shared", len(all.answers), all.shared())
}

// The proxy takes a field out that Connection names. Who has it taken out is
// answered otherwise, and shares with nobody who does not.
func TestShareKeepsRequestsWithRemovedFieldsApart(t *testing.T) {
	t.Parallel()
	backend := new(echoing)
	caddy := caddytest.Start(t, parking("nothing_new {\njson /Entries\n}\nreuse 10s"), caddytest.Serve(t, backend.ServeHTTP))
	target := "http://" + caddy.Site + "/feed?since=0"
	hostile := caddytest.DialRaw(t, caddy.Site)
	hostile.Send("GET /feed?since=0 HTTP/1.1\r\nHost: " + caddy.Site + "\r\nAccept-Encoding: gzip\r\nX-Tenant: red\r\nConnection: keep-alive, x-tenant\r\n\r\n")
	caddy.AwaitWaiting(t, "feed", 1)
	victim := caddytest.Get(t.Context(), target, "X-Tenant: red")
	caddy.AwaitWaiting(t, "feed", 2)
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/feed", "")
	for i, g := range []caddytest.Answer{<-victim, caddytest.Do(t.Context(), http.MethodGet, target, "", "X-Tenant: red")} {
		if want := whoAsks(http.Header{"X-Tenant": {"red"}}); g.Header.Get("X-For") != want {
			t.Errorf("answer %d is for %s, want %s", i, g.Header.Get("X-For"), want)
		}
	}
	if g := hostile.Answer(); g.Header.Get("X-For") != whoAsks(nil) {
		t.Errorf("without the field, the answer is %+v", g)
	}
}

// Some backends take the URL or the method from fields that any client can send.
func TestShareKeepsRequestsWithReplacedURLApart(t *testing.T) {
	t.Parallel()
	fields := []string{
		"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override",
	}
	var news atomic.Bool
	caddy := caddytest.Start(t, "{\n{$GLOBAL}\nservers {\ntrusted_proxies static private_ranges\n}\n}\n"+parking("share public\nreuse 10s"), caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !news.Load() {
			fmt.Fprint(w, "[]")
			return
		}
		for _, name := range fields {
			if value := r.Header.Get(name); strings.Contains(value, "evil") {
				fmt.Fprintf(w, "as %s says: %s", name, value)
			}
		}
		fmt.Fprint(w, "news")
	}))
	var hostile, victims []<-chan caddytest.Answer
	for i, name := range fields {
		target := fmt.Sprintf("http://%s/%s", caddy.Site, name)
		hostile = append(hostile, caddytest.Get(t.Context(), target, name+": evil"))
		caddy.AwaitWaiting(t, fields[i], 1)
		victims = append(victims, caddytest.Get(t.Context(), target))
		caddy.AwaitWaiting(t, fields[i], 2)
	}
	news.Store(true)
	for i, name := range fields {
		caddy.Publish(t, name, "", "")
		if g := <-hostile[i]; !strings.HasPrefix(g.Body, "as "+name) {
			t.Errorf("with %s: evil, the answer is %q", name, g.Body)
		}
		if g := <-victims[i]; g.Body != "news" {
			t.Errorf("without %s, the answer is %q", name, g.Body)
		}
	}
}
