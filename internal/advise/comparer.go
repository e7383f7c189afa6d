package advise

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// Comparer compares answers to a poll by the rules that are advised for it. It can be used by
// several goroutines at once.
type Comparer struct {
	mutex sync.Mutex // guards route, which learns the names of members
	route *route
}

// Comparer returns what compares answers to the poll. It is nil if the report was read from
// JSON.
func (p *Poll) Comparer() *Comparer {
	if p.route == nil {
		return nil
	}
	return &Comparer{route: p.route}
}

// Repeatable reports whether a second request like it changes nothing for its client, as far as
// the traffic shows that. It does if the answers set cookies, as that can end a session, if it
// is a write by its method, or if the application must itself remember what it has given: then
// the second request would get the news of the first.
func (p *Poll) Repeatable() bool {
	r := p.route
	if r == nil || r.key.isWrite() || slices.ContainsFunc(r.records, func(it record) bool { return len(it.renewed) > 0 }) {
		return false
	}
	says := len(r.fieldsOf(CursorRole, ClockRole)) > 0 || slices.ContainsFunc(r.records, func(it record) bool { return it.facts.conditional })
	return says || r.ruleOf().unchanged
}

// Digest returns a digest of an answer that does not depend on what changes by itself. It is
// 0 for all answers that mean nothing new to every client.
func (c *Comparer) Digest(status int, body []byte) uint64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	text := bytes.TrimSpace(body)
	it := &answer{status: status, known: true, length: int64(len(text)), text: string(text)}
	it.sum = mix(uint64(status), maphash.Bytes(c.route.seed, text))
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		if document, err := jsonvalue.Parse(text); err == nil {
			it.members = c.route.membersOf(document, time.Now())
		}
	}
	rule := c.route.ruleOf()
	if rule.is != nil && rule.is(it) {
		return 0
	}
	return rule.sumWithout(it)
}

// Matches reports whether a request is one of the poll. Only the method, the path, the query,
// the Content-Type and the body of the request are looked at.
func (p *Poll) Matches(o *Observation) bool {
	if p.Method != o.Method || !matchesPath(p.Path, o.Path) {
		return false
	}
	if p.Call == nil {
		return true
	}
	var buffer [maxFields]rawField
	key, _ := shapeOf(o, buffer[:0])
	called := reportedCall(key.call)
	return called != nil && *p.Call == *called
}

// matchesPath reports whether a path fits a pattern in which * stands for any segment.
func matchesPath(pattern, path string) bool {
	expected, segments := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(expected) != len(segments) {
		return false
	}
	for i, segment := range segments {
		if expected[i] != "*" && expected[i] != segment {
			return false
		}
	}
	return true
}
