package advise

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// desks adds, for each host, a poll, and a write that explains its changes.
func (tr *traffic) desks(hosts ...string) {
	for i, host := range hosts {
		writes := tr.writes(10*second, 20*minute, 40*second)
		first := len(tr.observations)
		for client := range 2 {
			tr.poll(fmt.Sprintf("page %d of %d", client, i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
				return exchange{path: "/updates", text: listOf(writes, at)}
			})
		}
		for _, at := range writes {
			tr.at(at, time.Millisecond, exchange{client: fmt.Sprint("page 0 of ", i), method: "POST", path: "/updates"})
			tr.at(at, time.Millisecond, exchange{client: fmt.Sprint("page 0 of ", i), method: "POST", path: "/log"})
		}
		for j := range tr.observations[first:] {
			tr.observations[first+j].Host = host
		}
	}
}

// sitesOf returns the lines of a Caddyfile that begin a site, and checks that it loads.
func sitesOf(t *testing.T, caddyfile string) string {
	t.Helper()
	CheckLoads(t, caddyfile)
	var sites []string
	for _, line := range strings.Split(caddyfile, "\n") {
		if strings.HasSuffix(line, " {") && !strings.HasPrefix(line, "\t") {
			sites = append(sites, strings.TrimSuffix(line, " {"))
		}
	}
	return strings.Join(sites, ", ")
}

func TestCaddyfileHasASiteForEachHost(t *testing.T) {
	tr := newTraffic(t)
	tr.desks("desk.example.com", "shop.example.com", "10.0.0.1", "", "localhost", "2001:db8::1", "bad{host}.example")
	report := tr.report()
	advice := Caddyfile(report, Site{})
	if got := sitesOf(t, advice); !strings.Contains(got, "desk.example.com") || !strings.Contains(got, "shop.example.com") || strings.Count(got, ":80") != 1 || strings.Count(got, ",") != 2 {
		t.Errorf("%s\n%s", got, advice)
	}
	if !strings.Contains(advice, "parker_notify /updates {host}{path}\n") || !strings.Contains(advice, "parker /updates {host}{path} {\n") {
		t.Error(advice)
	}
	if strings.Contains(advice, "reverse_proxy 1") || !strings.Contains(advice, "# Here belongs") {
		t.Error(advice)
	}
	one := Caddyfile(report, Site{Address: "http://:8080", Upstreams: []string{"127.0.0.1:8000", "127.0.0.1:8001"}})
	if got := sitesOf(t, one); got != "http://:8080" || strings.Count(one, "parker /updates {") != 1 || !strings.Contains(one, "\treverse_proxy 127.0.0.1:8000 127.0.0.1:8001\n") {
		t.Error(one)
	}
}

func TestWritesThatCannotBeToldApartAllPublish(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 2 {
		tr.poll(fmt.Sprint("page ", i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/board", text: listOf(writes, at)}
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "page 0", method: "POST", path: "/save"})
		tr.at(at, time.Millisecond, exchange{client: "page 0", method: "POST", path: "/audit"})
	}
	if p := tr.onePoll(); len(p.Publishers) != 2 || p.Unknown > 0 {
		t.Errorf("%+v", p)
	}
}

func TestCaddyfileHasTheHookOnce(t *testing.T) {
	tr := newTraffic(t)
	for i, host := range []string{"a.example.com", "b.example.com"} {
		first := len(tr.observations)
		for _, path := range []string{"/weather", "/traffic", "/api/weather/7"} {
			tr.poll(fmt.Sprint("page ", i), 0, 20*minute, 5*second, AfterAnswer, func(at time.Duration, _ int) exchange {
				return exchange{path: path, text: fmt.Sprintf(`{"n":%d}`, at/minute)}
			})
		}
		for j := range tr.observations[first:] {
			tr.observations[first+j].Host = host
		}
	}
	if advice := Caddyfile(tr.report(), Site{}); strings.Count(advice, "parker_publish") != 1 || strings.Count(sitesOf(t, advice), ",") != 2 {
		t.Error(advice)
	}
}

func TestMatchersOfOnePageHaveDifferentNames(t *testing.T) {
	tr := newTraffic(t)
	for _, kind := range []string{"status", "queue", "orders"} {
		writes := tr.writes(10*second, 20*minute, 40*second)
		for client := range 3 {
			tr.poll(fmt.Sprint("page ", client), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
				return exchange{method: "POST", path: "/rpc", body: `{"method":"` + kind + `"}`, text: fmt.Sprintf(`{"%s":%d}`, kind, before(writes, at))}
			})
		}
		for _, at := range writes {
			tr.at(at, time.Millisecond, exchange{client: "page 0", method: "POST", path: "/rpc", body: `{"method":"` + kind + `.add"}`})
		}
	}
	site := tr.site()
	for _, name := range []string{"@poll1 {", "@poll2 {", "@poll3 {", "@write1_1 {", "@write2_1 {", "@write3_1 {"} {
		if strings.Count(site, name) != 1 {
			t.Errorf("%s in\n%s", name, site)
		}
	}
}

func TestGainIsMeasuredForEachChange(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 30*minute, 60*second)
	for i := range 3 {
		tr.poll(fmt.Sprint("page ", i), 0, 30*minute, 10*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/updates", text: listOf(writes, at)}
		})
	}
	want, n := time.Duration(0), 0
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/updates"})
		for i := range 3 {
			first := time.Duration(-1)
			for _, o := range tr.observations {
				if begun := o.Begun.Sub(tr.start); o.Client == fmt.Sprint("page ", i) && begun > at && (first < 0 || begun < first) {
					first = begun
				}
			}
			if first >= 0 {
				want += first - at
				n++
			}
		}
	}
	want /= time.Duration(n)
	g := tr.onePoll().Gain
	if off := (g.Sooner.Duration() - want).Abs(); off > 100*time.Millisecond || g.Sooner == 0 {
		t.Errorf("%v sooner instead of %v", g.Sooner, want)
	}
	if g.Parked != 3 || g.Memory != 120_000 || g.Spared < g.Asks/3 || g.Spared >= g.Asks {
		t.Errorf("%+v", g)
	}
}

func TestClockThatChangesSeldomIsLeftOut(t *testing.T) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "15:04"} {
		tr := newTraffic(t)
		writes := tr.writes(10*second, 20*minute, 3*minute)
		for i := range 2 {
			tr.poll(fmt.Sprint("page ", i), 0, 20*minute, 5*second, AfterAnswer, func(at time.Duration, _ int) exchange {
				now := tr.start.Add(at).Truncate(time.Minute).In(time.FixedZone("", 5*3600+1800))
				return exchange{path: "/board", text: fmt.Sprintf(`{"n":%d,"now":"%s"}`, before(writes, at), now.Format(layout))}
			})
		}
		if p := tr.onePoll(); fmt.Sprint(p.NothingNew) != "[unchanged except /now remember]" {
			t.Errorf("%s: %+v", layout, p)
		}
	}
}

func TestMembersThatHaveAKeyForEachElementAreOne(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
		return exchange{path: "/status", text: fmt.Sprintf(`{"users":{"ada":{"seen":%d},"bob":{"seen":%d}},"n":%d}`, number, number+1, at/minute)}
	})
	if p := tr.onePoll(); fmt.Sprint(p.NothingNew) != "[unchanged except /users/*/seen remember]" {
		t.Errorf("%+v", p)
	}
	tr.site()
}

func TestAdviceNeedsNoHeaders(t *testing.T) {
	tr := newTraffic(t)
	tr.desks("desk.example.com")
	for i := range tr.observations {
		tr.observations[i].Request, tr.observations[i].Answer = nil, http.Header(nil)
	}
	if p := tr.onePoll(); !p.Hold || p.Public {
		t.Errorf("two clients without headers are not enough to share: %+v", p)
	}
}
