package advise

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

const (
	second = time.Second
	minute = time.Minute
)

func TestAdviceForPollsWithCursor(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 5 {
		last := 0
		tr.poll(fmt.Sprint("agent ", i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: "/tickets/updates", query: fmt.Sprint("since=", last), text: "[]"}
			if n := before(writes, at); n > last {
				e.text = fmt.Sprintf(`[{"ticket":%d}]`, n)
				last = n
			}
			return e
		})
	}
	for i, at := range writes {
		tr.at(at, tr.took()/30, exchange{client: fmt.Sprint("agent ", i%5), method: "POST", path: "/tickets/reply", status: 302})
	}
	tr.noise(20 * minute)
	tr.want(
		"parker_notify /tickets/reply tickets",
		"parker /tickets/updates tickets {",
		"	share public",
		"}",
	)
}

func TestAdviceForWholeStateWithClock(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 3 {
		tr.poll(fmt.Sprint("guest ", i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/queue.php", text: fmt.Sprintf(`{"now":%d,"waiting":[%d]}`, 1700000000+int(at/time.Millisecond), before(writes, at))}
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "guest 1", method: "POST", path: "/take.php"})
	}
	tr.noise(20 * minute)
	tr.want(
		"parker_notify /take.php queue",
		"parker /queue.php queue {",
		"	share public",
		"	nothing_new {",
		"		unchanged except /now",
		"		remember",
		"	}",
		"}",
	)
}

// rooms adds clients in four rooms. The functions say how a room is asked for and written to.
func (tr *traffic) rooms(names []string, ask, write func(room string) exchange) {
	for number, room := range names {
		writes := tr.writes(10*second, 20*minute, 60*second)
		for i := range 2 {
			last := 0
			tr.poll(fmt.Sprintf("guest %d of %s", i, room), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
				e := ask(room)
				e.text = "[]"
				if n := before(writes, at); n > last {
					e.text = fmt.Sprintf(`[{"room":%d,"message":%d}]`, number, n)
					last = n
				}
				return e
			})
		}
		for _, at := range writes {
			e := write(room)
			e.client = fmt.Sprintf("guest 0 of %s", room)
			tr.at(at, time.Millisecond, e)
		}
	}
	tr.noise(20 * minute)
}

func TestAdviceForRoomsInPath(t *testing.T) {
	tr := newTraffic(t)
	tr.rooms([]string{"7", "12", "31", "40"},
		func(room string) exchange { return exchange{path: "/rooms/" + room} },
		func(room string) exchange { return exchange{method: "POST", path: "/rooms/" + room, status: 303} })
	tr.want(
		"@write1_1 {",
		"	path_regexp ^/rooms/[^/]+$",
		"}",
		"parker_notify @write1_1",
		"@poll1 {",
		"	path_regexp ^/rooms/[^/]+$",
		"}",
		"parker @poll1 {",
		"	share public",
		"}",
	)
}

func TestAdviceForNamedRoomsInPathOfOtherWrites(t *testing.T) {
	tr := newTraffic(t)
	tr.rooms([]string{"hall", "garden", "attic", "cellar", "porch", "stairs", "yard"},
		func(room string) exchange { return exchange{path: "/rooms/" + room + "/updates"} },
		func(room string) exchange { return exchange{method: "POST", path: "/rooms/" + room + "/messages"} })
	tr.want(
		"@write1_1 {",
		"	path_regexp ^/rooms/[^/]+/messages$",
		"}",
		"parker_notify @write1_1 rooms/{path.1}",
		"@poll1 {",
		"	path_regexp ^/rooms/[^/]+/updates$",
		"}",
		"parker @poll1 rooms/{path.1} {",
		"	share public",
		"}",
	)
}

func TestAdviceForRoomsInQuery(t *testing.T) {
	tr := newTraffic(t)
	tr.rooms([]string{"hall", "garden", "attic", "cellar"},
		func(room string) exchange { return exchange{path: "/updates", query: "room=" + room} },
		func(room string) exchange { return exchange{method: "POST", path: "/messages", query: "to=" + room} })
	tr.want(
		"parker_notify /messages updates/{query.to}",
		"parker /updates updates/{query.room} {",
		"	share public",
		"}",
	)
}

func TestAdviceForInboxesByCookie(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 30*minute, 30*second)
	for i := range 4 {
		seen := 0
		tr.poll(fmt.Sprint("user ", i), 0, 30*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: "/inbox", text: `{"messages":[],"ok":true}`}
			for n := before(writes, at); seen < n; seen++ {
				if seen%4 == i {
					e.text = fmt.Sprintf(`{"messages":["%d"],"ok":true}`, seen)
				}
			}
			return e
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "user 0", method: "POST", path: "/send", status: 302})
	}
	tr.noise(30 * minute)
	tr.want(
		"parker_notify /send inbox",
		"parker /inbox inbox {",
		"	nothing_new {",
		"		json /messages",
		"	}",
		"}",
	)
}

func TestAdviceForJSONRPC(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 3 {
		tr.poll(fmt.Sprint("tab ", i), 0, 20*minute, second, ByTimer, func(at time.Duration, number int) exchange {
			return exchange{
				method: "POST", path: "/rpc",
				body: fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"status"}`, number),
				text: fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"active":%d}}`, number, before(writes, at)),
			}
		})
	}
	for i, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "tab 0", method: "POST", path: "/rpc", body: fmt.Sprintf(`{"id":"w%d","method":"queue.add"}`, i), text: fmt.Sprintf(`{"id":"w%d"}`, i)})
	}
	tr.want(
		"@write1_1 {",
		"	path /rpc",
		"	parker_body json /method queue.add",
		"}",
		"parker_notify @write1_1 status",
		"@poll1 {",
		"	path /rpc",
		"	parker_body json /method status",
		"}",
		"parker @poll1 status {",
		"	methods POST",
		"	timer",
		"	share public",
		"	nothing_new {",
		"		unchanged except /id",
		"		remember",
		"	}",
		"}",
	)
}

func TestAdviceForConditionalRequests(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 3 {
		last := -1
		tr.poll(fmt.Sprint("reader ", i), 0, 20*minute, 5*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: "/board", status: 304}
			if last >= 0 {
				e.request = http.Header{"If-None-Match": {"tag"}, "Cookie": {fmt.Sprint("session=", i)}}
			}
			if n := before(writes, at); n > last {
				e.status, e.text = 200, fmt.Sprintf("<p>Post %d</p>", n)
				last = n
			}
			return e
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "reader 1", method: "POST", path: "/board", status: 303})
	}
	tr.noise(20 * minute)
	tr.want(
		"parker_notify /board",
		"parker /board {",
		"	share public",
		"}",
	)
}

func TestAdviceForSentenceInHTML(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	seen := 0
	tr.poll("agent", 0, 20*minute, 3*second, AfterAnswer, func(at time.Duration, number int) exchange {
		e := exchange{path: "/fragment/tickets", text: "<div><b>Desk</b><p>No new tickets.</p></div>"}
		if n := before(writes, at); n > seen {
			seen = n
			e.text = fmt.Sprintf("<div><b>Desk</b><p>Ticket %d</p></div>", n)
		}
		return e
	})
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "customer", method: "POST", path: "/tickets", status: 303})
	}
	tr.noise(20 * minute)
	tr.want(
		"parker_notify /tickets fragment",
		"parker /fragment/tickets fragment {",
		"	nothing_new {",
		`		match "<p>No new tickets\.</p>"`,
		"	}",
		"}",
	)
}

func TestAdviceForStatusUntilThereIsSomething(t *testing.T) {
	tr := newTraffic(t)
	for i := range 8 {
		begin := time.Duration(i) * minute
		ready := begin + 30*second + tr.jitter(10*second)
		done := false
		tr.poll(fmt.Sprint("buyer ", i), begin, begin+50*second, second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: fmt.Sprintf("/orders/%d/receipt", 100+i), status: 404, text: "not found"}
			if at > ready {
				e.status, e.text = 200, fmt.Sprintf("receipt %d", i)
				done = true
			}
			return e
		})
		if !done {
			t.Fatal("nothing came")
		}
		tr.at(ready, time.Millisecond, exchange{client: "printer", method: "PUT", path: fmt.Sprintf("/orders/%d/receipt", 100+i), status: 201})
	}
	tr.noise(9 * minute)
	tr.want(
		"@write1_1 {",
		"	path_regexp ^/orders/[^/]+/receipt$",
		"}",
		"parker_notify @write1_1",
		"@poll1 {",
		"	path_regexp ^/orders/[^/]+/receipt$",
		"}",
		"parker @poll1 {",
		"	nothing_new {",
		"		status 404",
		"	}",
		"}",
	)
}

func TestAdviceForTimerWithCacheBuster(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 2 {
		tr.poll(fmt.Sprint("tab ", i), time.Duration(i)*minute, 20*minute, 2*second, ByTimer, func(at time.Duration, number int) exchange {
			loaded := tr.start.UnixMilli() + int64(i)*60_000
			return exchange{path: "/tickets/list", query: fmt.Sprint("_=", loaded+int64(number)), text: fmt.Sprintf(`[%d]`, before(writes, at))}
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "tab 0", method: "POST", path: "/tickets/reply", status: 302})
	}
	tr.noise(20 * minute)
	tr.want(
		"parker_notify /tickets/reply tickets",
		"parker /tickets/list tickets {",
		"	timer",
		"	ignore_query _",
		"	nothing_new {",
		"		unchanged",
		"		remember",
		"	}",
		"}",
	)
}

func TestAdviceForChangesByCron(t *testing.T) {
	tr := newTraffic(t)
	for i := range 3 {
		tr.poll(fmt.Sprint("screen ", i), 0, 30*minute, 5*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/weather", text: fmt.Sprintf(`{"temperature":%d}`, at/minute)}
		})
	}
	tr.noise(30 * minute)
	tr.want(
		"parker /weather {",
		"	watch 5s",
		"	share public",
		"	nothing_new {",
		"		unchanged",
		"		remember",
		"	}",
		"}",
	)
}

func TestNoAdviceWithoutPolls(t *testing.T) {
	tr := newTraffic(t)
	tr.noise(30 * minute)
	for i := range 200 {
		tr.at(time.Duration(i)*second, tr.took(), exchange{client: "crawler", path: fmt.Sprintf("/pages/%d", i), text: fmt.Sprint("page ", i)})
		tr.at(time.Duration(i)*second, tr.took(), exchange{client: "other crawler", path: "/search", query: fmt.Sprint("page=", i), text: fmt.Sprint("results ", i)})
	}
	if polls := tr.report().Polls; len(polls) > 0 {
		t.Errorf("polls: %+v", polls)
	}
	tr.want()
}
