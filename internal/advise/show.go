package advise

import (
	"bytes"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// Request is a request that shows what an application answers to a poll.
type Request struct {
	Host, Path, Query string
}

// Unseen returns a request of each poll by GET that was seen in a log only: what its answers
// contain is not known. To learn it, send the requests, and call [Analysis.Show].
func (r Report) Unseen() []Request {
	var requests []Request
	for _, p := range r.Polls {
		if p.Method != "GET" || p.route == nil || p.route.target == "" || p.Streams || p.Already {
			continue
		}
		path, query, _ := strings.Cut(p.route.target, "?")
		requests = append(requests, Request{p.Host, path, query})
	}
	return requests
}

// noteTarget keeps the URL of a request whose answer is not known.
func (r *route) noteTarget(o *Observation) {
	if o.Method != "GET" || !o.Logged || o.Length >= 0 || o.Status < 200 || o.Status > 299 || hasNoBody(o.Status) || len(o.Path)+len(o.Query) > maxQuery {
		return
	}
	before := len(r.target)
	r.target = o.Path + "?" + o.Query
	r.bytes += len(r.target) - before
}

// Show tells the analysis what the application has answered to a request of [Report.Unseen].
// Answers of the same status and length are taken to be the same. It returns how many these
// were. The observation has the body as it was sent.
func (a *Analysis) Show(o Observation) (answers int) {
	var buffer [maxFields]rawField
	key, _ := shapeOf(&o, buffer[:0])
	a.mutex.Lock()
	defer a.mutex.Unlock()
	r := a.routes[key]
	if r == nil {
		return 0
	}
	a.bytes -= r.bytes
	shown := make(map[*answer]*answer)
	for i := range r.records {
		it := &r.records[i]
		if !it.answer.logged || it.answer.status != o.Status || it.answer.length != int64(len(o.Text)) {
			continue
		}
		if shown[it.answer] == nil {
			shown[it.answer] = r.shown(it.answer, &o)
		}
		it.answer = shown[it.answer]
		answers++
	}
	if answers > 0 {
		r.target = ""
	}
	r.count()
	a.bytes += r.bytes
	return answers
}

// shown returns an answer with a body that is known now. A report that is made meanwhile
// still has the other one.
func (r *route) shown(it *answer, o *Observation) *answer {
	known := *it
	text := bytes.TrimSpace(o.Text)
	known.known, known.logged, known.length = true, false, int64(len(text))
	if len(text) <= maxText {
		known.text = string(text)
	}
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		if document, err := jsonvalue.Parse(text); err == nil {
			known.members = r.membersOf(document, o.Begun)
		}
	}
	return &known
}
