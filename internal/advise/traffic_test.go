package advise

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// traffic is what clients and an application do in virtual time.
type traffic struct {
	t            *testing.T
	random       *rand.Rand
	observations []Observation
	start        time.Time
}

func newTraffic(t *testing.T) *traffic {
	return &traffic{t: t, random: rand.New(rand.NewPCG(1, 2)), start: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
}

// exchange is one request and its answer, as a test writes it.
type exchange struct {
	client, method, path, query, body string
	request, answer                   http.Header
	status                            int
	text                              string
	unknown                           bool // the body of the answer is not known
}

// at adds an exchange that begins so long after the start.
func (tr *traffic) at(begun, took time.Duration, e exchange) {
	o := Observation{
		Begun: tr.start.Add(begun), Took: took, Client: e.client, Host: "desk.example.com",
		Method: e.method, Path: e.path, Query: e.query, Request: e.request, Body: []byte(e.body),
		Status: e.status, Answer: e.answer, Text: []byte(e.text), Length: int64(len(e.text)),
	}
	if o.Method == "" {
		o.Method = "GET"
	}
	if o.Status == 0 {
		o.Status = 200
	}
	if o.Request == nil {
		o.Request = http.Header{"Cookie": {"session=" + e.client}}
	}
	if o.Answer == nil {
		o.Answer = http.Header{}
	}
	if o.Body != nil && strings.HasPrefix(e.body, "{") {
		o.Request = o.Request.Clone()
		o.Request.Set("Content-Type", "application/json")
	}
	if e.unknown {
		o.Length, o.Text = -1, nil
		o.Answer.Set("Content-Length", fmt.Sprint(len(e.text)))
	} else if len(e.text) > 0 {
		sum := sha256.Sum256([]byte(e.text))
		o.Sum = string(sum[:])
	}
	tr.observations = append(tr.observations, o)
}

// jitter returns a time of up to a limit.
func (tr *traffic) jitter(limit time.Duration) time.Duration {
	return time.Duration(tr.random.Int64N(int64(limit)))
}

// took returns how long an answer takes, from 3 to 63 ms.
func (tr *traffic) took() time.Duration { return 3*time.Millisecond + tr.jitter(60*time.Millisecond) }

// poll has a client poll from begin to end, and calls answer for each poll.
func (tr *traffic) poll(client string, begin, end, every time.Duration, waiting Waiting, answer func(at time.Duration, number int) exchange) {
	number := 0
	for at := begin + tr.jitter(every); at < end; number++ {
		took := tr.took()
		e := answer(at, number)
		e.client = client
		tr.at(at, took, e)
		if waiting == AfterAnswer {
			at += took
		}
		at += every + tr.jitter(2*time.Millisecond)
		if waiting == ByTimer {
			at = at.Round(every) + begin%every
		}
	}
}

// writes returns times at random, some seconds apart.
func (tr *traffic) writes(begin, end, apart time.Duration) []time.Duration {
	var times []time.Duration
	for at := begin + tr.jitter(apart); at < end; at += apart/2 + tr.jitter(apart) {
		times = append(times, at)
	}
	return times
}

// before counts the times before a time.
func before(times []time.Duration, at time.Duration) int {
	n, _ := slices.BinarySearch(times, at)
	return n
}

// noise adds requests that are no polls.
func (tr *traffic) noise(end time.Duration) {
	for at := time.Duration(0); at < end; at += tr.jitter(3 * time.Second) {
		n := tr.random.IntN(1000)
		tr.at(at, tr.took(), exchange{client: fmt.Sprintf("visitor %d", n%37), path: fmt.Sprintf("/articles/%d", n), text: fmt.Sprintf("<h1>Article %d</h1>", n)})
		if n%5 == 0 {
			tr.at(at, tr.took(), exchange{client: fmt.Sprintf("visitor %d", n%37), method: "POST", path: "/metrics/collect", status: 204})
		}
	}
}

func (tr *traffic) sort() {
	slices.SortStableFunc(tr.observations, func(x, y Observation) int { return x.Begun.Compare(y.Begun) })
}

// report returns what an Analysis says about the traffic.
func (tr *traffic) report() Report { return tr.analysis().Report() }

func (tr *traffic) analysis() *Analysis {
	tr.sort()
	a := New()
	for _, o := range tr.observations {
		a.Add(o)
	}
	return a
}

// site returns the lines of the site in the advice, without comments.
func (tr *traffic) site() string {
	advice := Caddyfile(tr.report(), Site{Upstreams: []string{"127.0.0.1:8000"}})
	tr.t.Log("\n" + advice)
	CheckLoads(tr.t, advice)
	var lines []string
	for _, line := range strings.Split(advice, "\n") {
		if line == "" {
			break // the hook follows
		}
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// want checks the site of the advice.
func (tr *traffic) want(lines ...string) {
	tr.t.Helper()
	want := ""
	if len(lines) > 0 {
		want = "desk.example.com {\n\t" + strings.Join(append(lines, "reverse_proxy 127.0.0.1:8000"), "\n\t") + "\n}"
	}
	if got := tr.site(); got != want {
		tr.t.Errorf("the advice is\n%s\n\nand should be\n%s", got, want)
	}
}
