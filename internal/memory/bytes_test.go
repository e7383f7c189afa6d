package memory

import (
	"encoding/binary"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

// visitors returns browsers at addresses of their own.
func visitors(people, cookies int) []Browser {
	all := make([]Browser, people)
	for i := range all {
		binary.BigEndian.PutUint64(all[i].look[:], uint64(i))
		for j := range cookies {
			all[i].cookies = append(all[i].cookies, cookieOf(strconv.Itoa(j), strconv.Itoa(i)))
		}
	}
	return all
}

// remember gives an answer to each page of each browser.
func (s *Store) remember(all []Browser, pages int) {
	for i, browser := range all {
		var key Key
		binary.BigEndian.PutUint64(key[:], uint64(i))
		browser.cookies = slices.Clone(browser.cookies)
		var polls []*Poll
		for range pages {
			polls = append(polls, s.Begin(Request{Browser: browser, Key: key, Remembers: true}))
		}
		for j, p := range polls {
			p.Gave(Digest{byte(1 + j/maxOfAnswer)})
			p.Close(false)
		}
	}
}

// load makes each browser load a page.
func (s *Store) load(all []Browser) {
	for _, browser := range all {
		browser.cookies = slices.Clone(browser.cookies)
		s.Loaded(browser, false).Answered(http.Header{})
	}
}

// taken returns how many bytes of the heap are in use after a fill that were not before.
func taken(fill func()) int {
	inUse := func() int {
		runtime.GC()
		runtime.GC() // frees what had a finalizer
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := inUse()
	fill()
	return inUse() - before
}

// The bound in bytes must hold for what is really used. That is most where a map has just
// grown, and a slice has (of 9 memories).
func TestStoreCountsNoFewerBytesThanItTakes(t *testing.T) {
	for _, people := range []int{1900, 2500} {
		for _, cookies := range []int{1, 20} {
			all := visitors(people, cookies)
			for _, pages := range []int{1, 9} {
				s := new(Store)
				if took := taken(func() { s.remember(all, pages) }); took > s.bytes {
					t.Errorf("%d clients with %d cookies and %d memories take %d bytes, %d are counted", people, cookies, pages, took, s.bytes)
				}
			}
			s := new(Store)
			if took := taken(func() { s.load(all) }); took > s.loadBytes {
				t.Errorf("%d page loads with %d cookies take %d bytes, %d are counted", people, cookies, took, s.loadBytes)
			}
			runtime.KeepAlive(all)
		}
	}
}

// What parker remembers of 10,000 clients, each of which was given one answer.
func BenchmarkStoreBytes(b *testing.B) {
	const clients = 10_000
	all := visitors(clients, 2)
	for b.Loop() {
		s := new(Store)
		b.ReportMetric(float64(taken(func() { s.remember(all, 1) }))/clients, "bytes/memory")
		runtime.KeepAlive(s)
	}
	b.ReportMetric(0, "ns/op")
}
