package advise

import (
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

func TestAnalysisKeepsWithinItsMemory(t *testing.T) {
	a := New()
	start := time.Unix(1_800_000_000, 0)
	for i := range 150_000 {
		a.Add(hostile(i, start))
	}
	records, bytes := 0, 0
	for _, r := range a.routes {
		records += len(r.records)
		bytes += r.bytes
	}
	if records != a.records || records > maxRecords || len(a.routes) > maxRoutes || bytes != a.bytes || bytes > maxBytes {
		t.Errorf("%d records (counted %d), %d routes, %d bytes (counted %d)", records, a.records, len(a.routes), bytes, a.bytes)
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	if memory.HeapAlloc > 128<<20 {
		t.Errorf("%d MiB in use", memory.HeapAlloc>>20)
	}
	a.Report()
	runtime.KeepAlive(a)
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
	f.Add("GET", "/rooms/7", "after=1&_=2", `{"method":"status","id":1}`, `{"now":1,"list":[]}`, 200)
	f.Add("POST", "//%zz/*", ";=&&a", `[`, "\xff{", 0)
	f.Fuzz(func(t *testing.T, method, path, query, body, text string, status int) {
		a := New()
		for i := range 20 {
			answer := text
			if i%5 == 4 {
				answer += "x"
			}
			a.Add(Observation{
				Begun: time.Unix(1_800_000_000+int64(i), 0), Took: time.Millisecond, Client: "client", Method: method, Path: path, Query: query,
				Body: []byte(body), Status: status, Text: []byte(answer), Length: int64(len(answer)), Sum: answer,
			})
		}
		if advice := Caddyfile(a.Report(), Site{}); advice != "" {
			CheckLoads(t, advice)
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
