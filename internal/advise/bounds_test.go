package advise

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile returns the number-th request of a client that makes everything different.
func hostile(number int, start time.Time) Observation {
	text := fmt.Sprintf(`{"member%d":%d,"filler":"%s"}`, number, number, strings.Repeat("x", 2000))
	return Observation{
		Begun: start.Add(time.Duration(number) * time.Millisecond), Took: time.Millisecond, Client: fmt.Sprint("client ", number),
		Host: fmt.Sprintf("host%c.example", 'a'+number%26), Method: "POST", Path: fmt.Sprintf("/%c%c%c/x", 'a'+number%26, 'a'+number/26%26, 'a'+number/676%26),
		Query: fmt.Sprintf("name%c=%d", 'a'+number%26, number), Body: []byte(fmt.Sprintf(`{"method":"m%c%c%c","id":%d}`, 'a'+number%26, 'a'+number/26%26, 'a'+number/676%26, number)),
		Status: 200, Text: []byte(text), Sum: fmt.Sprint(number), Length: int64(len(text)),
	}
}

// extremes are kinds of traffic that are meant to take much memory.
var extremes = map[string]struct {
	requests    int
	observation func(number int) Observation
}{
	"everything different": {50_000, func(i int) Observation { return hostile(i, time.Unix(1_800_000_000, 0)) }},
	"a million paths": {1_000_000, func(i int) Observation {
		return plain(i, "page", "GET", "/"+letters(i), "page")
	}},
	"a million clients": {1_000_000, func(i int) Observation {
		return plain(i, fmt.Sprint("client ", i), "GET", "/updates", "[]")
	}},
	"long paths and hosts": {50_000, func(i int) Observation {
		o := plain(i, "page", "POST", "/"+strings.Repeat(letters(i)+"/", 11)+strings.Repeat("x", 380), "")
		o.Host = letters(i) + strings.Repeat("h", 240)
		return o
	}},
	"many names": {12_000, func(i int) Observation {
		o := plain(i, "page", "POST", "/"+letters(i%20_000), "")
		for j := range 24 {
			o.Query += fmt.Sprintf("&%s%s=%s", letters(i*24+j), strings.Repeat("n", 55), strings.Repeat("v", 20))
		}
		return o
	}},
	"many cookies": {12_000, func(i int) Observation {
		o := plain(i, "page", "POST", "/updates", "")
		for j := range 100 {
			o.Request["Cookie"] = append(o.Request["Cookie"], fmt.Sprintf("%s%s=%d", letters(i*100+j), strings.Repeat("n", 50), i))
			o.Answer["Set-Cookie"] = o.Request["Cookie"]
		}
		return o
	}},
	"large answers": {15_000, func(i int) Observation {
		return plain(i, "page", "GET", "/updates"+letters(i%100), strings.ReplaceAll(largeAnswers[i%100], "VALUE", fmt.Sprint(i)))
	}},
	"everything in few routes": {15_000, func(i int) Observation {
		o := plain(i, fmt.Sprint("page ", i), "POST", "/updates"+letters(i%5), strings.ReplaceAll(largeAnswers[i%5], "VALUE", fmt.Sprint(i)))
		for j := range 24 {
			o.Query += fmt.Sprintf("&%s=%d", letters(j), i*j)
			o.Request["Cookie"] = append(o.Request["Cookie"], fmt.Sprintf("cookie%s=%d", letters(j), i))
		}
		o.Answer["Set-Cookie"] = o.Request["Cookie"]
		return o
	}},
	"long texts": {50_000, func(i int) Observation {
		return plain(i, "page", "GET", "/updates"+letters(i%3000), fmt.Sprint(i, strings.Repeat("t", 4000)))
	}},
}

// largeAnswers have 60 members each.
var largeAnswers = func() (texts [100]string) {
	for i := range texts {
		var members []string
		for j := range 60 {
			members = append(members, fmt.Sprintf(`"%s":{"value":VALUE}`, letters(i*60+j)))
		}
		texts[i] = "{" + strings.Join(members, ",") + "}"
	}
	return texts
}()

// letters returns a number as letters, so that it looks like a name.
func letters(number int) string {
	text := ""
	for ; number > 0; number /= 26 {
		text += string(rune('a' + number%26))
	}
	return "a" + text
}

func TestAnalysisKeepsWithinItsMemory(t *testing.T) {
	if raceDetector {
		t.Skip("millions of requests are added one after the other: run it without the race detector, which makes it six times as long")
	}
	for name, extreme := range extremes {
		t.Run(name, func(t *testing.T) {
			before := inUse()
			a := New()
			for i := range extreme.requests {
				a.Add(extreme.observation(i))
			}
			records, bytes := 0, 0
			for _, r := range a.routes {
				records += len(r.records)
				bytes += r.bytes
			}
			if records != a.records || records > maxRecords || len(a.routes) > maxRoutes || bytes != a.bytes || bytes > maxBytes {
				t.Errorf("%d records (counted %d), %d routes, %d bytes (counted %d)", records, a.records, len(a.routes), bytes, a.bytes)
			}
			kept := inUse() - before
			t.Logf("%d KiB in use, %d counted, for %d records of %d routes", kept>>10, bytes>>10, records, len(a.routes))
			if kept > 24<<20 {
				t.Errorf("%d MiB are in use", kept>>20)
			}
			begun := time.Now()
			a.Report()
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("a report took %v", took)
			}
		})
	}
}

// inUse returns how much of the heap is in use after a garbage collection.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int(memory.HeapAlloc)
}

// busySite adds ten minutes of 300 requests a second for pages and files.
func busySite(a *Analysis) {
	for i := range 180_000 {
		client := fmt.Sprint("visitor ", i/20)
		o := plain(i*2/3, client, "GET", "/pages/"+letters(i*7919%5000), "page")
		switch i % 4 {
		case 0:
			o.Path, o.Answer["Content-Type"] = fmt.Sprintf("/static/%s.js", letters(i%300)), []string{"text/javascript"}
		case 1:
			o.Path, o.Answer["Content-Type"] = "/images/"+letters(i%2000), []string{"image/webp"}
		case 2:
			o.Method, o.Path = "POST", "/collect"
		}
		a.Add(o)
	}
}

func TestBusySiteWithoutPollsGetsNoAdvice(t *testing.T) {
	a := New()
	busySite(a)
	if report := a.Report(); len(report.Polls) > 0 || report.Requests != 180_000 || Caddyfile(report, Site{}) != "" {
		t.Errorf("%+v", report)
	}
}

func TestBusySiteDoesNotPushOutItsPoll(t *testing.T) {
	a := New()
	tr := newTraffic(t)
	tr.start = time.Unix(1_800_000_000, 0)
	for i := range 5 {
		tr.poll(fmt.Sprint("agent ", i), 0, 10*minute, 5*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/queue", text: fmt.Sprintf("[%d]", at/minute)}
		})
	}
	tr.sort()
	next := 0
	add := func(until time.Time) {
		for ; next < len(tr.observations) && tr.observations[next].Begun.Before(until); next++ {
			a.Add(tr.observations[next])
		}
	}
	for i := range 180_000 {
		o := plain(i*2/3, fmt.Sprint("visitor ", i/20), "GET", "/pages/"+letters(i*7919%5000), "page")
		add(o.Begun)
		a.Add(o)
	}
	if report := a.Report(); len(report.Polls) != 1 || report.Polls[0].Path != "/queue" || !report.Polls[0].Public {
		t.Errorf("%+v", report.Polls)
	}
}

func TestAnalysisKeepsPollAmongManyURLs(t *testing.T) {
	a := New()
	start := time.Unix(1_800_000_000, 0)
	for i := range 60_000 {
		a.Add(hostile(i, start))
		if i%1000 == 0 {
			at := start.Add(time.Duration(i) * time.Millisecond)
			a.Add(Observation{Begun: at, Took: time.Millisecond, Client: "page", Method: "GET", Path: "/messages", Status: 200, Text: []byte("[]"), Length: 2, Sum: "empty"})
			a.Add(Observation{Begun: at, Took: time.Millisecond, Client: "page 2", Method: "GET", Path: "/messages", Status: 200, Text: []byte("[]"), Length: 2, Sum: "empty"})
		}
	}
	report := a.Report()
	if len(report.Polls) != 1 || report.Polls[0].Path != "/messages" {
		t.Errorf("polls: %+v", report.Polls)
	}
}

func FuzzAnalysis(f *testing.F) {
	f.Add("GET", "desk.example.com", "/rooms/7", "after=1&_=2", "session", `{"method":"status","id":1}`, `{"now":1,"list":[]}`, 200)
	f.Add("POST", "[::1", "//%zz/*", ";=&&a", "a b;c=", `[`, "\xff{", 0)
	f.Add("GET", "a.b {", "/users/ada/inbox", "room.x=1&to:y={z}", "{env.HOME}", "", "<p>No news here.</p>", 200)
	f.Fuzz(func(t *testing.T, method, host, path, query, cookie, body, text string, status int) {
		a := New()
		for i := range 240 {
			at := time.Unix(1_800_000_000, 0).Add(time.Duration(i) * 250 * time.Millisecond)
			person := i % 8 / 2 // two clients each
			answer := text
			if n := i / 8 % 5; n == 4 {
				answer += fmt.Sprint(person, i/8)
			}
			a.Add(Observation{
				Begun: at, Took: time.Millisecond, Client: fmt.Sprint("client ", i%8), Host: host, Method: method, Path: path, Query: query,
				Request: map[string][]string{"Cookie": {cookie + "=" + fmt.Sprint(person)}}, Body: []byte(body),
				Status: status, Text: []byte(answer), Length: int64(len(answer)), Sum: answer,
			})
		}
		report := a.Report()
		if _, err := json.Marshal(report); err != nil {
			t.Error(err)
		}
		for _, site := range []Site{{}, {Address: "http://:8080", Upstreams: []string{"127.0.0.1:8000"}}} {
			if advice := Caddyfile(report, site); advice != "" {
				CheckLoads(t, advice)
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	start := time.Unix(1_800_000_000, 0)
	text := []byte(`{"now":1700000000,"tickets":[{"id":1,"title":"printer"},{"id":2,"title":"screen"}],"unread":2}`)
	for _, kind := range []string{"same answer", "other answer", "hostile"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			a := New()
			for i := 0; b.Loop(); i++ {
				if kind == "hostile" {
					a.Add(hostile(i, start))
					continue
				}
				o := Observation{
					Begun: start.Add(time.Duration(i) * time.Millisecond), Took: time.Millisecond, Client: "client", Method: "GET", Path: "/tickets/updates",
					Query: "after=41", Status: 200, Text: text, Length: int64(len(text)), Sum: "same",
				}
				if kind == "other answer" {
					o.Sum = fmt.Sprint(i)
				}
				a.Add(o)
			}
		})
	}
}

func TestAnalysisReportsWhileItIsFed(t *testing.T) {
	a := New()
	start := time.Unix(1_800_000_000, 0)
	var group sync.WaitGroup
	for feeder := range 3 {
		group.Go(func() {
			for i := range 3000 {
				o := hostile(i, start)
				if i%2 == 0 {
					o = Observation{Begun: o.Begun, Client: fmt.Sprint(feeder), Method: "GET", Path: "/messages", Status: 200, Length: 2, Text: []byte("[]"), Sum: "empty"}
				}
				a.Add(o)
			}
		})
	}
	for range 5 {
		a.Report()
	}
	group.Wait()
	if got := a.Report().Requests; got != 9000 {
		t.Errorf("%d requests", got)
	}
}
