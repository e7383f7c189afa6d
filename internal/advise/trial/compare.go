package trial

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/requestbody"
)

const (
	maxBody = 64 << 10

	// tolerated is how much later than its news was there an answer can come and not count as
	// late: the ask that found the news and the replay run at the same time.
	tolerated = 250 * time.Millisecond

	// mostFor limits how long one ask of a comparison can take.
	mostFor = 10 * time.Second
)

// comparison compares one poll with what the page would have got in its place.
type comparison struct {
	poll  *poll
	stop  context.CancelFunc
	ended chan struct{}
	seen  []seen // guarded by the mutex of poll
}

// seen is what the page would have got from one of its polls.
type seen struct {
	at     time.Time // when the answer was there
	digest uint64
}

// compare begins a comparison with a poll, unless one of its kind is being compared, or none
// may be.
func (p *poll) compare(r *http.Request) *comparison {
	if !p.compares {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &comparison{poll: p, stop: stop, ended: make(chan struct{})}
	p.mutex.Lock()
	busy := p.comparing != nil
	if !busy {
		p.comparing = c
	}
	p.mutex.Unlock()
	if busy {
		stop()
		return nil
	}
	body, err := requestbody.Read(r, maxBody)
	if err != nil {
		close(c.ended)
		return c
	}
	request := r.Clone(ctx)
	request.URL.Scheme, request.URL.Host, request.RequestURI = "http", r.Host, ""
	request.Header.Del("Accept-Encoding")
	go c.run(request, body)
	return c
}

// run polls as the page would have done, until the comparison ends.
func (c *comparison) run(r *http.Request, body []byte) {
	defer close(c.ended)
	for {
		next := time.NewTimer(c.poll.Every.Duration())
		if digest, ok := c.ask(r, body); ok {
			c.poll.mutex.Lock()
			c.seen = append(c.seen, seen{time.Now(), digest})
			c.poll.mutex.Unlock()
		}
		select {
		case <-r.Context().Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

// ask returns the digest of the application's answer. It is not ok if there is none, or one
// that says that it failed.
func (c *comparison) ask(r *http.Request, body []byte) (digest uint64, ok bool) {
	ctx, cancel := context.WithTimeout(r.Context(), mostFor)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	reply, err := c.poll.trial.direct.RoundTrip(r)
	if err != nil {
		return 0, false
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxBody))
	if err != nil || isRefusal(reply.StatusCode) {
		return 0, false
	}
	return c.poll.answers.Digest(reply.StatusCode, text), true
}

// isRefusal reports whether an answer is about the request, and not about news.
func isRefusal(status int) bool {
	return status >= 500 || status >= 300 && status < 400 && status != http.StatusNotModified || status == http.StatusUnauthorized || status == http.StatusForbidden
}

// end ends the comparison with the answer that the client got, if it got one.
func (c *comparison) end(got *recorder, answered bool) {
	now, release := time.Now(), answer.ReleaseOf(got.Header())
	coding := http.Header{"Content-Encoding": got.Header()["Content-Encoding"]} // the header is not ours any more when this returns
	c.stop()
	c.poll.trial.ending.Go(func() {
		<-c.ended
		body, err := nothingnew.Decode(coding, got.body, maxBody)
		c.poll.compared(c.seen, now, c.poll.answers.Digest(got.status, body), release, answered && err == nil)
	})
}

// overdue returns for how long the page would have had what the compared poll has not got. The
// mutex of the poll must be held.
func (c *comparison) overdue(now time.Time) time.Duration {
	if c == nil {
		return 0
	}
	for _, s := range c.seen {
		if s.digest != c.seen[0].digest {
			return now.Sub(s.at)
		}
	}
	return 0
}

// compared takes the result of a comparison: what the page would have seen, and when and how
// the client was answered.
func (p *poll) compared(saw []seen, at time.Time, digest uint64, release answer.Release, answered bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.comparing = nil
	if !answered || len(saw) == 0 || release == answer.None || release == "" {
		return
	}
	news := release == answer.Replay || release == answer.Message || release == answer.History || release == answer.Watch
	before := digest // what the client had
	if news {
		before = saw[0].digest
		p.news++
	}
	for _, s := range saw {
		if s.digest == before && !(news && before == digest) {
			continue
		}
		if late := at.Sub(s.at); late > tolerated {
			p.later++
			p.latest = max(p.latest, late)
		}
		return
	}
	if news {
		p.sooner += saw[len(saw)-1].at.Add(p.Every.Duration()).Sub(at)
	}
}
