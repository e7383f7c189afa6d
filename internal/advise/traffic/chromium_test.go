package traffic

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// deskPage polls with a cursor and for a whole state with a validator, writes now and then,
// and does once what must not be taken for either.
const deskPage = `<!doctype html><title>Desk</title><script>
const pause = ms => new Promise(done => setTimeout(done, ms));
let since = 0, running = true;
async function updates() {
	while (running) {
		since += (await (await fetch('/tickets/updates?since=' + since + '&_=' + Date.now())).json()).length;
		await pause(600);
	}
}
async function state() {
	while (running) {
		await (await fetch('/state', {cache: 'no-cache'})).text();
		await pause(700);
	}
}
async function run() {
	const both = [updates(), state()];
	await (await fetch('/cached')).text();
	await (await fetch('/cached')).text();
	const abort = new AbortController();
	setTimeout(() => abort.abort(), 200);
	await fetch('/never', {signal: abort.signal}).catch(() => {});
	await fetch('http://OTHER/other', {headers: {'X-Own': '1'}}).catch(() => {});
	for (let i = 0; i < 8; i++) {
		await pause(3000);
		if (i == 4) document.title = 'half';
		await fetch('/tickets/reply', i % 2 ? {method: 'POST', body: new URLSearchParams({text: 'hidden ' + i})} :
			{method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({text: 'hidden ' + i})});
	}
	await pause(1000);
	running = false;
	await Promise.all(both);
	document.title = 'done';
}
run();
</script>`

// serveDesk serves the page and what it asks for. other is the address of another origin.
func serveDesk(t *testing.T) string {
	var mutex sync.Mutex
	tickets := 0
	var address string
	address = caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/never" {
			<-r.Context().Done()
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		header := w.Header()
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Allow-Headers", "X-Own")
		switch r.URL.Path {
		case "/tickets/updates":
			since, _ := strconv.Atoi(r.FormValue("since"))
			var news []map[string]int
			for number := since; number < tickets; number++ {
				news = append(news, map[string]int{"ticket": number})
			}
			header.Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(append([]map[string]int{}, news...))
		case "/state":
			tag := fmt.Sprintf("%q", strconv.Itoa(tickets))
			header.Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprintf(w, `{"state":%d}`, tickets)
		case "/tickets/reply":
			tickets++
			w.WriteHeader(http.StatusCreated)
		case "/cached":
			header.Set("Cache-Control", "max-age=600")
			fmt.Fprint(w, "cached")
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "topsecret"})
			header.Set("Content-Type", "text/html")
			fmt.Fprint(w, strings.Replace(deskPage, "OTHER", address, 1))
		}
	})
	return address
}

// recorder makes a HAR file of what DevTools is told of the network, as DevTools does.
type recorder struct {
	mutex   sync.Mutex
	order   []network.RequestID
	entries map[network.RequestID]*recorded
}

type recorded struct {
	request       *network.EventRequestWillBeSent
	requestHeader network.Headers
	response      *network.EventResponseReceived
	answer        *network.EventResponseReceivedExtraInfo
	cached        bool
	ended         cdp.MonotonicTime
	failed        string
	content       map[string]any
}

func (r *recorder) entry(id network.RequestID) *recorded {
	if r.entries[id] == nil {
		r.entries[id] = new(recorded)
		r.order = append(r.order, id)
	}
	return r.entries[id]
}

// hear notes an event, and sends the ID of a request whose body can be read.
func (r *recorder) hear(event any, finished chan<- network.RequestID) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r.entry(e.RequestID).request = e
	case *network.EventRequestWillBeSentExtraInfo:
		r.entry(e.RequestID).requestHeader = e.Headers
	case *network.EventResponseReceived:
		r.entry(e.RequestID).response = e
	case *network.EventResponseReceivedExtraInfo:
		r.entry(e.RequestID).answer = e
	case *network.EventRequestServedFromCache:
		r.entry(e.RequestID).cached = true
	case *network.EventLoadingFailed:
		r.entry(e.RequestID).ended, r.entry(e.RequestID).failed = e.Timestamp, e.ErrorText
	case *network.EventLoadingFinished:
		r.entry(e.RequestID).ended = e.Timestamp
		finished <- e.RequestID
	}
}

func (r *recorder) keep(id network.RequestID, body []byte) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.entry(id).content = map[string]any{"size": len(body), "text": base64.StdEncoding.EncodeToString(body), "encoding": "base64"}
}

// har returns the HAR file.
func (r *recorder) har(t *testing.T) []byte {
	t.Helper()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var entries []any
	for _, id := range r.order {
		if it := r.entries[id]; it.request != nil {
			entries = append(entries, it.entry())
		}
	}
	file, err := json.Marshal(map[string]any{"log": map[string]any{
		"version": "1.2", "creator": map[string]any{"name": "WebInspector", "version": "537.36"}, "pages": []any{map[string]any{"id": "page_1"}, map[string]any{"id": "page_2"}}, "entries": entries,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (it *recorded) entry() map[string]any {
	seconds := it.request.WallTime.Float64()
	request := map[string]any{"method": it.request.Request.Method, "url": it.request.Request.URL, "httpVersion": "http/1.1"}
	requestHeader := it.requestHeader
	if requestHeader == nil {
		requestHeader = it.request.Request.Headers
	}
	request["headers"] = append(harFields(requestHeader), map[string]string{"name": ":authority", "value": "a"})
	if entries := it.request.Request.PostDataEntries; len(entries) > 0 {
		request["postData"] = map[string]any{"mimeType": "text/plain", "text": string(entries[0].Bytes)}
	}
	response := map[string]any{"status": 0, "headers": []any{}, "content": map[string]any{"size": 0}, "bodySize": -1}
	if it.response != nil {
		response["status"], response["headers"] = it.response.Response.Status, harFields(it.response.Response.Headers)
	}
	if it.answer != nil && it.answer.StatusCode != 0 {
		response["status"], response["headers"] = it.answer.StatusCode, harFields(it.answer.Headers)
	}
	if it.content != nil {
		response["content"] = it.content
	}
	if it.failed != "" {
		response["_error"] = it.failed
	}
	entry := map[string]any{
		"startedDateTime": time.UnixMicro(int64(seconds * 1e6)).UTC().Format("2006-01-02T15:04:05.000Z"),
		"time":            max(it.ended.Float64()-it.request.Timestamp.Float64(), 0) * 1000,
		"request":         request, "response": response, "cache": map[string]any{}, "timings": map[string]any{"blocked": -1, "dns": -1, "connect": -1},
	}
	if it.cached || it.response != nil && it.response.Response.FromDiskCache && (it.answer == nil || it.answer.StatusCode != http.StatusNotModified) {
		entry["_fromCache"] = "disk"
	}
	return entry
}

func harFields(header network.Headers) []any {
	fields := []any{}
	for name, value := range header {
		for text := range strings.SplitSeq(fmt.Sprint(value), "\n") {
			fields = append(fields, map[string]string{"name": name, "value": text})
		}
	}
	return fields
}

// visit opens the page in Chromium, waits until it is done, and returns the HAR file.
func visit(t *testing.T, url string) []byte {
	t.Helper()
	path := caddytest.Need(t, "Chromium is not installed (apt-get install chromium)", "chromium", "chromium-browser", "google-chrome")
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true))...) // root cannot have a sandbox, and the page belongs to the test
	t.Cleanup(end)
	ctx, leave := chromedp.NewContext(allocator)
	t.Cleanup(leave)
	ctx, cancel := context.WithTimeout(ctx, 2*caddytest.Patience)
	t.Cleanup(cancel)

	r := &recorder{entries: make(map[network.RequestID]*recorded)}
	finished := make(chan network.RequestID, 10_000)
	if err := chromedp.Listen(ctx, func(event any) { r.hear(event, finished) }); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	}), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	awaitTitle := func(wanted string) {
		caddytest.Await(t, "the page is "+wanted, func() bool {
			title, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.title"))
			return err == nil && title == wanted
		})
	}
	awaitTitle("half")
	awaitTitle("done")
	for len(finished) > 0 {
		id := <-finished
		chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			body, err := cdp.Call(ctx, target, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id})
			if err == nil {
				r.keep(id, body.Body)
			}
			return nil // a preflight has no body
		}))
	}
	return r.har(t)
}

// adviceOf returns the report on recorded traffic, and the Caddyfile.
func adviceOf(t *testing.T, file []byte) (polls map[string]advise.Poll, caddyfile string, observations []advise.Observation, skipped []Skipped) {
	t.Helper()
	observations, skipped = readFrom(t, bytes.NewReader(file))
	analysis := advise.New()
	for _, o := range observations {
		analysis.Add(o)
	}
	report := analysis.Report()
	polls = make(map[string]advise.Poll)
	for _, p := range report.Polls {
		polls[p.Path] = p
	}
	caddyfile = advise.Caddyfile(report, advise.Site{Address: "desk.example.com"})
	t.Log(caddyfile, advise.Notes(report))
	if strings.Contains(caddyfile, "secret") || strings.Contains(caddyfile, "hidden") {
		t.Error("the advice contains what people have sent")
	}
	return polls, caddyfile, observations, skipped
}

// TestTrafficOfChromiumGivesTheSameAdviceAsHARAndAsLog has Caddy and nginx log the same requests.
func TestTrafficOfChromiumGivesTheSameAdviceAsHARAndAsLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log, combined, timed := filepath.Join(dir, "caddy.log"), filepath.Join(dir, "combined.log"), filepath.Join(dir, "timed.log")
	nginx := caddytest.StartNginxWith(t, `log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time';
server {
listen 80;
access_log `+combined+` combined;
access_log `+timed+` timed;
location / {
proxy_pass http://`+serveDesk(t)+`;
}
}`)
	caddy := caddytest.Start(t, "http://{$SITE} {\nlog {\noutput file "+log+"\n}\nreverse_proxy {$BACKEND}\n}", strings.TrimPrefix(nginx.URL, "http://"))
	har := visit(t, "http://"+caddy.Site+"/")

	polls, caddyfile, observations, skipped := adviceOf(t, har)
	checkAdvice(t, polls, caddyfile)
	if fromCache := slices.ContainsFunc(skipped, func(s Skipped) bool { return s.Why == FromCache }); !fromCache {
		t.Errorf("nothing came from the cache: %v", skipped)
	}
	checkChromium(t, observations)

	for _, path := range []string{log, combined, timed} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		polls, caddyfile, _, skipped := adviceOf(t, text)
		checkAdvice(t, polls, caddyfile)
		if len(skipped) > 0 {
			t.Errorf("skipped %v", skipped)
		}
	}
}

func checkAdvice(t *testing.T, polls map[string]advise.Poll, caddyfile string) {
	t.Helper()
	for path, p := range polls {
		if p.Hold && path != "/tickets/updates" && path != "/state" {
			t.Errorf("%s is held: %+v", path, p)
		}
	}
	for _, want := range []string{"\tparker_notify /tickets/reply ", "\tparker /tickets/updates ", "\tparker /state ", "\tignore_query _\n"} {
		if !strings.Contains(caddyfile, want) {
			t.Errorf("no %q in the advice", want)
		}
	}
	if p := polls["/tickets/updates"]; len(p.Publishers) != 1 || p.Unknown > 0 || p.Clients != 1 || p.Changes != 8 {
		t.Errorf("%+v", p)
	}
}

// checkChromium checks what is read of single requests.
func checkChromium(t *testing.T, observations []advise.Observation) {
	t.Helper()
	counts := make(map[string]int)
	for _, o := range observations {
		key := fmt.Sprintf("%s %s %d", o.Method, o.Path, o.Status)
		counts[key]++
		switch key {
		case "POST /tickets/reply 201":
			if !bytes.Contains(o.Body, []byte("hidden")) {
				t.Errorf("the body of %s is %q", key, o.Body)
			}
		case "GET /tickets/updates 200":
			if o.Length < 3 || o.Text[0] != '[' || o.Logged {
				t.Errorf("the answer to %s is %q", key, o.Text)
			}
			if cookie := o.Request.Get("Cookie"); !strings.HasPrefix(cookie, "session=") || strings.Contains(cookie, "topsecret") {
				t.Errorf("the cookie of %s is %q", key, cookie)
			}
		case "GET /state 304":
			if o.Length != 0 || o.Request.Get("If-None-Match") == "" {
				t.Errorf("%s: %+v", key, o)
			}
		case "GET /never 0":
			if o.Length != -1 {
				t.Errorf("%s: %+v", key, o)
			}
		}
	}
	for key, want := range map[string]int{
		"GET / 200": 1, "GET /cached 200": 1, "GET /never 0": 1, "OPTIONS /other 200": 1, "GET /other 200": 1, "POST /tickets/reply 201": 8, "GET /state 200": 9,
	} {
		if counts[key] != want {
			t.Errorf("%d observations of %s, want %d", counts[key], key, want)
		}
	}
	if counts["GET /state 304"] < 10 || counts["GET /tickets/updates 200"] < 30 {
		t.Errorf("polls: %v", counts)
	}
}
