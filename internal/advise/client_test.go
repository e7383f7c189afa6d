package advise

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// listOf returns a text that changes with each write.
func listOf(writes []time.Duration, at time.Duration) string {
	return fmt.Sprintf(`{"n":%d}`, before(writes, at))
}

// onePoll returns the only poll of the traffic.
func (tr *traffic) onePoll() Poll {
	tr.t.Helper()
	polls := tr.report().Polls
	if len(polls) != 1 {
		tr.t.Fatalf("%d polls: %+v", len(polls), polls)
	}
	return polls[0]
}

func TestClientIsOneWhoseSessionEachAnswerRenews(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(0, 10*minute, 30*second)
	for i := range 3 {
		tr.poll(fmt.Sprint("page ", i), 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
			return exchange{
				path: "/updates", text: listOf(writes, at),
				request: http.Header{"Cookie": {fmt.Sprintf("session=%d-%d", i, number), fmt.Sprintf("device=%d", i)}},
				answer:  http.Header{"Set-Cookie": {fmt.Sprintf("session=%d-%d", i, number+1)}},
			}
		})
	}
	p := tr.onePoll()
	if p.Clients != 3 || p.Public || !slices.Contains(p.NothingNew, "remember {cookie.device}") {
		t.Errorf("%+v", p)
	}
	tr.site()
}

func TestClientsWhoseSessionsAreRenewedAreToldApart(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(0, 10*minute, 30*second)
	for i := range 3 {
		tr.poll("same address", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
			e := exchange{path: "/updates", text: listOf(writes, at), request: http.Header{"Cookie": {fmt.Sprintf("session=%d-%d", i, number/10)}}}
			if number%10 == 9 {
				e.answer = http.Header{"Set-Cookie": {fmt.Sprintf("session=%d-%d", i, number/10+1)}}
			}
			return e
		})
	}
	if p := tr.onePoll(); p.Clients != 3 {
		t.Errorf("%+v", p)
	}
}

func TestClientIsOneWhoseAnalyticsCookieChanges(t *testing.T) {
	for _, clients := range []int{1, 3} {
		tr := newTraffic(t)
		writes := tr.writes(0, 10*minute, 30*second)
		for i := range clients {
			tr.poll("same address", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
				return exchange{path: "/updates", text: listOf(writes, at), request: http.Header{"Cookie": {
					fmt.Sprintf("session=%d", i), fmt.Sprintf("_ga=%d", i), fmt.Sprintf("_hits=%d-%d", i, number/15), fmt.Sprintf("_now=%d-%d", i, number), "lang=de",
				}}}
			})
		}
		if p := tr.onePoll(); p.Clients != clients {
			t.Errorf("%d clients instead of %d", p.Clients, clients)
		}
	}
}

func TestClientsBehindOneAddressAreToldApart(t *testing.T) {
	for kind, credential := range map[string]func(i int) http.Header{
		"cookie": func(i int) http.Header {
			return http.Header{"Cookie": {"lang=de", fmt.Sprintf("session=%d", i)}}
		},
		"authorization": func(i int) http.Header { return http.Header{"Authorization": {fmt.Sprintf("Bearer %d", i)}} },
	} {
		t.Run(kind, func(t *testing.T) {
			tr := newTraffic(t)
			for i := range 40 {
				begin := time.Duration(i) * 5 * second
				tr.poll("same address", begin, begin+5*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
					text := "[]"
					if number%20 == i%20 {
						text = fmt.Sprintf(`["%d for %d"]`, number, i)
					}
					return exchange{path: "/inbox", text: text, request: credential(i)}
				})
			}
			if p := tr.onePoll(); p.Clients != 40 || p.Public || len(p.ShareBy) > 0 || !p.Hold {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestClientsThatComeInTurnAreToldApart(t *testing.T) {
	tr := newTraffic(t)
	for i := range 8 {
		begin := time.Duration(i) * minute
		tr.poll("same address", begin, begin+50*second, second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: fmt.Sprintf("/orders/%d/receipt", 100+i), status: 404, request: http.Header{"Cookie": {fmt.Sprintf("session=%d", i), "lang=de"}}}
		})
	}
	if p := tr.onePoll(); p.Clients != 8 {
		t.Errorf("%+v", p)
	}
}

// accounts adds people with two browsers each, whose news are their own. Request returns the
// header of a browser.
func (tr *traffic) accounts(people int, request func(person, browser int) http.Header) {
	writes := make([][]time.Duration, people)
	for i := range writes {
		writes[i] = tr.writes(10*second, 20*minute, 60*second)
		for browser := range 2 {
			tr.poll(fmt.Sprintf("browser %d of %d", browser, i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
				return exchange{path: "/inbox", text: fmt.Sprintf(`{"of":%d,"n":%d}`, i, before(writes[i], at)), request: request(i, browser)}
			})
		}
	}
}

func TestSharingIsByTheCookieThatAnswersDependOn(t *testing.T) {
	for name, test := range map[string]struct {
		people  int
		request func(person, browser int) http.Header
		want    []string
	}{
		"cookie": {5, func(person, browser int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("account=%d", person), fmt.Sprintf("_ga=%d-%d", person, browser), "lang=de"}}
		}, []string{"{cookie.account}"}},
		"authorization": {5, func(person, _ int) http.Header {
			return http.Header{"Authorization": {fmt.Sprintf("Bearer %d", person)}}
		}, []string{"{header.Authorization}"}},
		"cookie that divides the people in the same way by chance": {4, func(person, _ int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("account=%d", person), fmt.Sprintf("theme=%d", person)}}
		}, []string{"{cookie.account}", "{cookie.theme}"}},
		"cookie whose name has a dot": {5, func(person, _ int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("desk.account=%d", person)}}
		}, []string{"{http.request.cookie.desk.account}"}},
		"cookies that a log has not": {5, func(person, _ int) http.Header {
			return http.Header{"Cookie": {"REDACTED"}, "Authorization": {"REDACTED"}}
		}, nil},
		"too few people": {2, func(person, _ int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("account=%d", person)}}
		}, nil},
		"nothing in common": {5, func(person, browser int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("session=%d-%d", person, browser), "lang=de"}}
		}, nil},
		"coarser than people": {6, func(person, browser int) http.Header {
			return http.Header{"Cookie": {fmt.Sprintf("session=%d-%d", person, browser), fmt.Sprintf("theme=%d", person%3)}}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(t)
			tr.accounts(test.people, test.request)
			p := tr.onePoll()
			if p.Public || !slices.Equal(p.ShareBy, test.want) {
				t.Errorf("public %v, by %q, %+v", p.Public, p.ShareBy, p.Sharing)
			}
			if len(test.want) > 0 && p.cookies && p.Gain.Spared < p.Gain.Asks/3 { // remember needs a cookie
				t.Errorf("%+v", p.Gain)
			}
			site := tr.site()
			if want := "share " + strings.Join(test.want, " "); len(test.want) > 0 && !strings.Contains(site, want+"\n") || strings.Contains(site, "share public") {
				t.Error(site)
			}
		})
	}
}

func TestSharingIsNotPublicWhereAnswersForbidIt(t *testing.T) {
	for name, answer := range map[string]func(i, number int) http.Header{
		"private":          func(int, int) http.Header { return http.Header{"Cache-Control": {"max-age=0, private"}} },
		"Vary":             func(int, int) http.Header { return http.Header{"Vary": {"Accept-Encoding, Cookie"}} },
		"Cookie: REDACTED": nil,
		"set cookies":      func(i, number int) http.Header { return http.Header{"Set-Cookie": {fmt.Sprintf("token=%d", i)}} },
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(t)
			writes := tr.writes(0, 10*minute, 30*second)
			for i := range 3 {
				tr.poll(fmt.Sprint("page ", i), 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
					e := exchange{path: "/updates", text: listOf(writes, at)}
					if answer == nil {
						e.request = http.Header{"Cookie": {"REDACTED"}}
					} else {
						e.answer = answer(i, number)
					}
					return e
				})
			}
			if p := tr.onePoll(); p.Public || len(p.ShareBy) > 0 || p.Sharing.Same < 20 {
				t.Errorf("%+v", p)
			}
			if advice := Caddyfile(tr.report(), Site{}); !strings.Contains(advice, "so nothing is shared") || strings.Contains(advice, "share public") {
				t.Error(advice)
			}
		})
	}
}

func TestSharingIsNotPublicIfOneClientGetsLess(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 10 {
		last := 0
		tr.poll(fmt.Sprint("page ", i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: "/updates", text: "[]"}
			if n := before(writes, at); n > last && (i > 0 || n%10 > 0) {
				last = n
				e.text = fmt.Sprintf("[%d]", n)
			}
			return e
		})
	}
	if p := tr.onePoll(); p.Public || p.Sharing.Different == 0 {
		t.Errorf("%+v", p)
	}
}

func TestSharingIsNotPublicIfAllHaveTheSameAccount(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 3 {
		tr.poll(fmt.Sprint("device ", i), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/updates", text: listOf(writes, at), request: http.Header{"Cookie": {"account=ada", fmt.Sprintf("device=%d", i)}}}
		})
	}
	if p := tr.onePoll(); p.Public {
		t.Errorf("%+v", p)
	}
}
