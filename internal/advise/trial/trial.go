// Package trial compares, while advice is in force, what clients get with what they would
// have got without parker.
//
// One handler sees the requests in front of parker's handlers, and one directly in front of
// the application. While a poll is parked, requests like it are sent to the application past
// parker, at the interval at which the page would have sent them. So it is known when the
// news was there, and when the page would have seen it. One poll of each kind is compared at
// a time, which costs the application as much as one client without parker. A poll is
// not compared if a second request could change something for its client.
package trial

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/requestbody"
)

// Figures say what happened to the polls of one kind since the trial began.
type Figures struct {
	Poll     string        // its title
	Parked   int           // polls that are not answered yet
	Expected int           // asks that the application would have got without parker
	Asks     int           // asks that the application got
	Compared bool          // whether polls are compared: not if a second request could change something
	News     int           // compared polls that were answered with news
	Sooner   time.Duration // that they were answered before the page's next poll without parker, on average
	Later    int           // compared polls that were answered later than their news was there, or are not yet
	Latest   time.Duration // how much later, at most
}

// Trial counts and compares the polls of a report.
type Trial struct {
	polls  []*poll
	direct http.RoundTripper // leads to the application past parker
	ending sync.WaitGroup    // for comparisons that end
}

// New returns a trial of the polls of a report for which there is advice. Requests that are
// sent with direct must reach the application without parker.
func New(report advise.Report, direct http.RoundTripper) *Trial {
	t := &Trial{direct: direct}
	for _, p := range report.Polls {
		if p.Hold {
			t.polls = append(t.polls, &poll{Poll: p, trial: t, answers: p.Comparer(), compares: p.Repeatable()})
		}
	}
	return t
}

// current is the trial that handlers take part in.
var current atomic.Pointer[Trial]

// Begin makes this the trial of the handlers that are provisioned from now on.
func (t *Trial) Begin() { current.Store(t) }

// Figures returns the figures of all polls.
func (t *Trial) Figures() []Figures {
	all := make([]Figures, 0, len(t.polls))
	now := time.Now()
	for _, p := range t.polls {
		all = append(all, p.figures(now))
	}
	return all
}

// Wait returns when all polls that have been answered are compared.
func (t *Trial) Wait() { t.ending.Wait() }

// pollOf returns the poll that a request is, or nil.
func (t *Trial) pollOf(r *http.Request) *poll {
	o := advise.Observation{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Request: http.Header{"Content-Type": r.Header["Content-Type"]}}
	for _, p := range t.polls {
		if p.Method != r.Method {
			continue
		}
		if p.Call != nil && p.Call.InBody() && o.Body == nil {
			o.Body, _ = requestbody.Read(r, maxBody) // a body that is too long is not of a poll
		}
		if p.Matches(&o) {
			return p
		}
	}
	return nil
}

// poll counts the polls of one kind.
type poll struct {
	advise.Poll
	trial    *Trial
	answers  *advise.Comparer
	compares bool

	mutex     sync.Mutex
	asks      int
	expected  float64
	open      int
	openSince time.Duration // the sum of when the open ones came, counted from epoch
	comparing *comparison
	news      int
	sooner    time.Duration
	later     int
	latest    time.Duration
}

// epoch is what times are counted from, so that their sum is small.
var epoch = time.Now()

func (p *poll) asked() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.asks++
}

func (p *poll) came(at time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.open++
	p.openSince += at.Sub(epoch)
}

func (p *poll) ended(came, now time.Time) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.open--
	p.openSince -= came.Sub(epoch)
	p.expected += 1 + p.missed(now.Sub(came))
}

// missed returns how many polls a page would have sent while one was parked.
func (p *poll) missed(parked time.Duration) float64 {
	if p.Waiting == advise.ByTimer || p.Every <= 0 {
		return 0 // such a page goes on
	}
	return parked.Seconds() / p.Every.Duration().Seconds()
}

func (p *poll) figures(now time.Time) Figures {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	open := time.Duration(p.open)*now.Sub(epoch) - p.openSince
	f := Figures{
		Poll: p.Title(), Parked: p.open, Asks: p.asks, Expected: int(p.expected + float64(p.open) + p.missed(open)),
		Compared: p.compares, News: p.news, Later: p.later, Latest: p.latest,
	}
	if late := p.comparing.overdue(now); late > tolerated {
		f.Later++
		f.Latest = max(f.Latest, late)
	}
	if sooner := p.news - p.later; sooner > 0 {
		f.Sooner = p.sooner / time.Duration(sooner)
	}
	return f
}
