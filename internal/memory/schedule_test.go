package memory

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest/tabs"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "the first seed of schedules; with -schedules 1 all that happens is logged")
	schedulesFlag = flag.Int("schedules", 20, "how many schedules are tried")
)

// Several pages of one browser poll in a loop, and are reloaded, closed and opened, while
// the answer changes and changes back. None may show an old answer for longer than it would
// by its own pause.
func TestStoreLeavesNoPageBehind(t *testing.T) {
	var polls int
	var held, open time.Duration
	for i := range uint64(*schedulesFlag) {
		seed := *seedFlag + i
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBackend(t, seed)
				b.run()
				polls, held, open = polls+b.polls, held+b.held, open+b.open
			})
		})
	}
	t.Logf("%d polls, which were held for %.0f %% of the time", polls, 100*held.Seconds()/open.Seconds())
}

// backend has one page, which is open several times in one browser.
type backend struct {
	t       *testing.T
	random  *rand.Rand
	store   Store
	browser Browser
	state   *tabs.State
	began   time.Time
	end     time.Time
	pages   []*page

	mu      sync.Mutex    // guards all below
	changed chan struct{} // closed when the state changes
	polls   int
	held    time.Duration // all polls together
	open    time.Duration // all pages together
}

// page is one of the pages.
type page struct {
	*backend
	name   string
	random *rand.Rand
	often  int // an event happens at one in so many polls
	pause  time.Duration
	screen *tabs.Screen
}

func newBackend(t *testing.T, seed uint64) *backend {
	began := time.Now()
	b := &backend{t: t, random: rand.New(rand.NewPCG(seed, 0)), began: began, end: began.Add(10 * time.Minute), changed: make(chan struct{})}
	b.state = tabs.NewState("A", func() time.Duration { return time.Since(began) })
	b.browser = browserWith("id=1")
	shortest := pick(b.random, 100*time.Millisecond, 500*time.Millisecond, time.Second, 3*time.Second, 10*time.Second)
	often := pick(b.random, 20, 200)
	for i := range 1 + b.random.IntN(5) {
		p := &page{backend: b, name: fmt.Sprint("page ", i), random: rand.New(rand.NewPCG(seed, uint64(i+1))), often: often}
		p.pause = shortest + time.Duration(b.random.Int64N(int64(2*shortest)))
		b.pages = append(b.pages, p)
	}
	return b
}

// browserWith returns a browser that has cookies.
func browserWith(cookies string) Browser {
	r, _ := http.NewRequest(http.MethodGet, "http://site/", nil)
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	return BrowserOf(r, "address")
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

// upTo waits for a time up to d.
func upTo(random *rand.Rand, d time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(d)))) }

func (b *backend) run() {
	var all sync.WaitGroup
	for _, p := range b.pages {
		all.Go(p.run)
	}
	all.Go(b.write)
	all.Wait()
}

func (b *backend) over() bool { return !time.Now().Before(b.end) || b.t.Failed() }

// log logs what happens if only one schedule is tried.
func (b *backend) log(format string, args ...any) {
	if *schedulesFlag == 1 {
		fmt.Printf("%8.3f %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// write changes the state, a few times in a row and then not for a while.
func (b *backend) write() {
	calm := pick(b.random, time.Second, 5*time.Second, 30*time.Second, 2*time.Minute)
	for !b.over() {
		for range 1 + b.random.IntN(3) {
			b.change(pick(b.random, "A", "B", "C"))
			upTo(b.random, 2*b.pages[0].pause)
		}
		upTo(b.random, calm)
	}
}

func (b *backend) change(value string) {
	b.log("the state is %s", value)
	b.state.Set(value)
	b.state.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns the state, and what is closed when it has changed.
func (b *backend) look() (value string, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Value(), b.changed
}

func (p *page) run() {
	p.load()
	for ; !p.over(); time.Sleep(p.pause) {
		switch p.random.IntN(p.often) {
		case 0:
			p.judge()
			p.load()
		case 1:
			p.judge()
			p.log("%s is closed", p.name)
			upTo(p.random, 10*time.Second)
			p.load()
		}
		for !p.poll(p.random.IntN(p.often) == 0) {
			p.judge()
			p.load()
		}
	}
	p.judge()
}

// load loads the page anew.
func (p *page) load() {
	p.log("%s loads", p.name)
	p.screen = p.state.Open(p.pause)
	p.store.Loaded(p.browser, false).Answered(nil)
	upTo(p.random, 300*time.Millisecond)
}

// judge judges what the page has shown until now.
func (p *page) judge() {
	if err := p.screen.Judge(); err != nil {
		p.t.Error(err)
	}
	if late := p.screen.Worst; late > travels {
		p.log("%s was late", p.name)
		p.t.Errorf("%s, which pauses for %v, was %v too late at %v", p.name, p.pause, late, time.Since(p.began))
	}
}

// travels is more than a request and its answer take.
const travels = 100 * time.Millisecond

// poll polls. It returns false if the page leaves before it is answered.
func (p *page) poll(leaves bool) bool {
	sent := time.Now()
	upTo(p.random, travels/5)
	ended := make(chan struct{})
	poll := p.store.Begin(Request{Browser: p.browser, Key: Key{1}, Remembers: true, End: sync.OnceFunc(func() { close(ended) })})
	defer poll.Close(false)
	p.logPoll(poll)
	value, stays := p.wait(poll, ended, leaves)
	if !stays {
		p.log("%s leaves", p.name)
		return false
	}
	poll.Gave(digestOf(value))
	p.mu.Lock()
	p.polls++
	p.held += time.Since(sent)
	p.open += time.Since(sent) + p.pause
	p.mu.Unlock()
	upTo(p.random, travels/5)
	p.log("%s shows %s", p.name, value)
	if err := p.screen.Shows(value); err != nil {
		p.t.Error(err)
	}
	p.judge()
	return true
}

// wait holds a poll as parker does, and returns its answer. stays is false if the page
// leaves before.
func (p *page) wait(poll *Poll, ended <-chan struct{}, leaves bool) (value string, stays bool) {
	const timeout = 55 * time.Second
	deadline, left := time.After(timeout), make(<-chan time.Time)
	if poll.Settles() {
		deadline = time.After(Settling)
	}
	if leaves {
		left = time.After(time.Duration(p.random.Int64N(int64(5 * time.Second))))
	}
	for {
		value, changed := p.look()
		upTo(p.random, travels/10) // the backend's answer
		if !poll.Has(digestOf(value)) {
			return value, true
		}
		select {
		case <-changed:
		case <-ended:
			return value, true
		case <-deadline:
			return value, true
		case <-left:
			return "", false
		}
	}
}

// logPoll logs what is known when a poll begins.
func (p *page) logPoll(poll *Poll) {
	poll.store.mu.Lock()
	uses, known := poll.uses, new(strings.Builder)
	for _, m := range poll.series.memories {
		fmt.Fprintf(known, " %s of %.2f", m.answer[:1], m.at.Sub(p.began).Seconds())
	}
	poll.store.mu.Unlock()
	p.log("%s polls, uses %v, beside%s", p.name, uses, known)
}

func digestOf(value string) (d Digest) {
	copy(d[:], value)
	return d
}
