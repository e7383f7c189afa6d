//go:build !race

package clients

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// tabOpener is the context of a browser or of a tab, beside which tabs can be opened.
type tabOpener = context.Context

// The names of the spans.
const (
	opened  = "just opened"
	settled = "a page that nothing happens to"
	crowded = "all tabs"
)

// settles is how long parker holds the polls of a page that was loaded for a moment only, and
// how long polls are counted after that. A page makes twenty of them if nobody holds them.
const settles = 10 * time.Second

// patience is how long a tab may take to show something. It is less than the 20 seconds after
// which Chromium no longer makes a tab's poll wait for that of another one.
const patience = 10 * time.Second

// visit is the use of a page by one person, with or without parker.
type visit struct {
	*proxies

	page     page
	protocol caddytest.Protocol
	parker   bool // it is in front
	full     bool
	folder   string // of the page, in which nobody else is

	taken []step
	spans map[string]span
}

// step is something that happened, and how long it took until the page showed it.
type step struct {
	kind kind
	name string
	at   time.Time
	took time.Duration
}

// kind is what a step waits for.
type kind int

const (
	load kind = iota
	change
	click
)

// span is a time in which polls are counted.
type span struct {
	at    time.Time
	polls int     // that reached the backend
	rate  float64 // of the answers in a second to the tab that got most
}

// visit prepares a visit.
func (p *proxies) visit(page page, protocol caddytest.Protocol, parker, full bool) *visit {
	v := &visit{proxies: p, page: page, protocol: protocol, parker: parker, full: full, spans: make(map[string]span)}
	v.folder = fmt.Sprintf("/%s/%d", page.family, p.visits.Add(1))
	p.backend.add(v.folder, page)
	return v
}

// url returns the URL of the page.
func (v *visit) url() string {
	url := v.sites[v.parker][v.protocol] + v.folder + "/"
	if v.page.passes {
		url += "state"
	}
	return url
}

// elsewhere returns the URL of a page of another origin at the same host. There the person
// gets a cookie: all persons have the same address and User-Agent, and their page loads are
// not told apart without one.
func (v *visit) elsewhere() string { return v.sites[false][v.protocol] + v.folder + "/other" }

// run uses the page in all ways that matter.
func (v *visit) run(t *testing.T, person tabOpener) {
	first := v.newTab(t, person)
	v.navigate(t, first, chromedp.Navigate(v.elsewhere()))
	if v.page.passes {
		v.navigate(t, first, chromedp.Navigate(v.url()))
		v.count(t, opened, settles)
		v.count(t, settled, settles)
		return
	}
	v.load(t, "opened", first, chromedp.Navigate(v.url()))
	v.count(t, opened, settles, first)
	v.count(t, settled, settles, first)
	v.change(t, "a change", first)
	if !v.full {
		return
	}
	v.load(t, "reload", first, chromedp.Reload())
	tabs := v.openOthers(t, first)
	v.count(t, crowded, settles/2, tabs...)
	v.click(t, tabs...)
	v.change(t, "a change in all tabs", tabs...)
	v.change(t, "another change in all tabs", tabs...)
	if v.parker {
		v.comeBack(t, tabs)
	}
}

// openOthers opens the page in more tabs. Without parker, one more is enough to compare.
func (v *visit) openOthers(t *testing.T, first tabOpener) (tabs []tabOpener) {
	tabs = append(tabs, first)
	names := []string{"second tab", "third tab", "fourth tab"}
	if !v.parker {
		names = names[:1]
	}
	for _, name := range names {
		tab := v.newTab(t, first)
		v.load(t, name, tab, chromedp.Navigate(v.url()))
		tabs = append(tabs, tab)
	}
	return tabs
}

// comeBack comes back to the page in all ways.
func (v *visit) comeBack(t *testing.T, tabs []tabOpener) {
	first := tabs[0]
	for _, tab := range tabs[1:] {
		v.closeTab(t, tab)
	}
	tab := v.newTab(t, first)
	v.load(t, "closed and opened again", tab, chromedp.Navigate(v.url()))
	v.closeTab(t, tab)
	v.navigate(t, first, chromedp.Navigate(v.elsewhere()))
	v.post(t)
	v.goBack(t, "back, with news", first, -1)
	v.travel(t, first, -1)
	v.post(t)
	v.goBack(t, "forward, with news", first, +1)
	v.change(t, "a change at the end", first)
}

// newTab opens an empty tab.
func (v *visit) newTab(t *testing.T, opener tabOpener, options ...chromedp.ContextOption) tabOpener {
	t.Helper()
	defer v.turn()()
	ctx, leave := chromedp.NewContext(opener, options...)
	t.Cleanup(leave)
	// The tab must not end with the time limit of its first action.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	return ctx
}

func (v *visit) closeTab(t *testing.T, tab tabOpener) {
	t.Helper()
	if err := chromedp.Cancel(tab); err != nil {
		t.Fatal(err)
	}
}

// turn waits until the visit may take a step. The step ends with a call of done.
func (v *visit) turn() (done func()) {
	v.steps <- struct{}{}
	return func() { <-v.steps }
}

// note notes a step.
func (v *visit) note(kind kind, name string, began time.Time, took time.Duration) {
	v.taken = append(v.taken, step{kind, name, began, took})
}

// slowest returns how long the slowest step of a kind took.
func (v *visit) slowest(of kind) (took time.Duration) {
	for _, step := range v.taken {
		if step.kind == of {
			took = max(took, step.took)
		}
	}
	return took
}

// navigate makes a tab load a page.
func (v *visit) navigate(t *testing.T, tab tabOpener, how chromedp.Action[chromedp.Void]) {
	t.Helper()
	defer v.turn()()
	do(t, tab, how)
}

func do(t *testing.T, tab tabOpener, how chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, caddytest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, how); err != nil {
		t.Fatalf("loading a page: %v", err)
	}
}

// load makes a tab load the page, and notes how long after that it shows the present state.
func (v *visit) load(t *testing.T, name string, tab tabOpener, how chromedp.Action[chromedp.Void]) {
	t.Helper()
	defer v.turn()()
	began := time.Now()
	do(t, tab, how)
	v.note(load, name, began, v.awaitShown(t, tab, v.version(), time.Time{}))
}

// version returns the version of the present state.
func (v *visit) version() int {
	version, _ := v.backend.in(v.folder)
	return version
}

// evaluate returns the value of an expression in a tab.
func evaluate[T any](t *testing.T, tab tabOpener, expression string, options ...chromedp.EvaluateOption) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, caddytest.Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// awaitShown returns how long after a time a tab showed a version. If the time is zero, it
// is that of the tab's last page load.
func (v *visit) awaitShown(t *testing.T, tab tabOpener, version int, since time.Time) time.Duration {
	t.Helper()
	began := time.Now()
	times := evaluate[[]float64](t, tab, fmt.Sprintf("until(%d, %d)", version, patience.Milliseconds()), chromedp.EvalAwaitPromise)
	if since.IsZero() {
		since = time.UnixMicro(int64(times[0] * 1000))
	}
	if times[1] == 0 {
		t.Fatalf("a tab does not show version %d\n%s", version, v.timeline(began, patience))
	}
	return max(0, time.UnixMicro(int64(times[1]*1000)).Sub(since)).Round(time.Millisecond)
}

// awaitAll waits until all tabs show the present state, and notes how long that took.
func (v *visit) awaitAll(t *testing.T, name string, began time.Time, tabs []tabOpener) {
	t.Helper()
	var last time.Duration
	for _, tab := range tabs {
		last = max(last, v.awaitShown(t, tab, v.version(), began))
	}
	v.note(change, name, began, last)
}

// post changes the state, as somebody else would do.
func (v *visit) post(t *testing.T) {
	t.Helper()
	site := v.sites[v.parker][caddytest.HTTP1]
	if answer := caddytest.Do(t.Context(), http.MethodPost, site+v.folder+"/click", ""); answer.Status != http.StatusOK {
		t.Fatalf("a change was answered %+v", answer)
	}
}

// change notes how long it takes until all tabs show a change.
func (v *visit) change(t *testing.T, name string, tabs ...tabOpener) {
	t.Helper()
	defer v.turn()()
	began := time.Now()
	v.post(t)
	v.awaitAll(t, name, began, tabs)
}

// click notes how long it takes until the button of the first tab is answered, and until
// all tabs show its change.
func (v *visit) click(t *testing.T, tabs ...tabOpener) {
	t.Helper()
	defer v.turn()()
	began := time.Now()
	took := evaluate[float64](t, tabs[0], "click()", chromedp.EvalAwaitPromise)
	v.note(click, "click", began, time.Duration(took*float64(time.Millisecond)).Round(time.Millisecond))
	v.awaitAll(t, "a change by a click, in all tabs", began, tabs)
}

// count counts polls for a time, with nothing else going on.
func (v *visit) count(t *testing.T, name string, long time.Duration, tabs ...tabOpener) {
	t.Helper()
	answers := func() (numbers []float64) {
		for _, tab := range tabs {
			numbers = append(numbers, evaluate[float64](t, tab, "shown.answers"))
		}
		return numbers
	}
	s := span{at: time.Now()}
	before := answers()
	_, polls := v.backend.in(v.folder)
	<-time.After(long)
	_, all := v.backend.in(v.folder)
	s.polls = all - polls
	for i, number := range answers() {
		s.rate = max(s.rate, (number-before[i])/time.Since(s.at).Seconds())
	}
	v.spans[name] = s
}

// goBack goes back or forward to the page, and notes how long it takes until that shows the
// present state.
func (v *visit) goBack(t *testing.T, name string, tab tabOpener, by int) {
	t.Helper()
	defer v.turn()()
	began := time.Now()
	v.travel(t, tab, by)
	// One of the browsers keeps pages.
	if restored := evaluate[bool](t, tab, "shown.restored"); restored != (v.protocol == caddytest.HTTP1) {
		t.Errorf("%s: the page was restored: %v", name, restored)
	}
	v.note(load, name, began, v.awaitShown(t, tab, v.version(), time.Time{}))
}

// travel goes from the page to another one, or from there to the page, in the tab's history.
func (v *visit) travel(t *testing.T, tab tabOpener, by int) {
	t.Helper()
	const title = `document.readyState == "complete" ? document.title : ""`
	const other = "Another page"
	here := evaluate[string](t, tab, title)
	evaluate[any](t, tab, fmt.Sprintf("void setTimeout(() => history.go(%d))", by))
	caddytest.Await(t, "the tab shows another page of its history", func() bool {
		ctx, cancel := context.WithTimeout(tab, time.Second)
		defer cancel()
		there, err := chromedp.Run(ctx, chromedp.Evaluate[string](title))
		return err == nil && there != "" && (there == other) != (here == other)
	})
}
