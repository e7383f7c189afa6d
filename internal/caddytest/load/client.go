package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// Form is a way to follow topics.
type Form string

// The forms.
const (
	Poll   Form = "poll"   // one message an answer
	Batch  Form = "batch"  // all missed messages in one answer
	Stream Form = "stream" // an event stream
	Any    Form = "any"    // each request has another form
)

// Client follows topics by one request after the other, until the load ends. Each
// request goes to any of the sites.
type Client struct {
	Form   Form
	Sites  []*caddytest.Client
	Path   string
	Header []string // further header lines, given as "Name: value"

	// Messages are the topics whose messages it must hear. Rows is the topic whose rows
	// the backend has, or nil.
	Messages []*Topic
	Rows     *Topic

	// Position is the last event ID, which changes with what the client hears. Without
	// it, and if Anew is set, requests have none.
	Position string
	Anew     bool

	// Backend is set if requests without rows reach the backend, too.
	Backend bool

	// Most is the number of events after which it leaves a stream at the latest, or 0.
	Most int

	// Stays is set if the client never leaves, and its streams must not end.
	Stays bool

	// Attempts is set if each request has a number, so that the backend knows which have
	// reached it. Requests with a number share no ask.
	Attempts bool

	load           *Load
	number, visits int

	// The ledger's mutex guards all below, and Position.
	site           *caddytest.Client // of the latest request, like form
	form           Form
	messages, rows []*record // rows has at most one
	latest         time.Time // when it last heard something
	listening      time.Time // since when it has been ready to hear the next item, or zero
}

// Failure is a request that was not answered as it should be. The trouble of a load may
// excuse it: see [Load.Excuse].
type Failure struct {
	Kind FailureKind
	error
}

// FailureKind is a kind of [Failure].
type FailureKind int

// The kinds of failures.
const (
	Unanswered FailureKind = iota // the connection failed before the answer was complete
	Refused                       // the answer is an error, and the request was never parked
	Broken                        // a stream has broken off
	Reset                         // the position of the client is not known
)

// String describes the client and its latest request, as it is found in Caddy's log.
func (c *Client) String() string {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	return fmt.Sprintf("client %d, a %s by %s, GET %s%s %q, after position %q,", c.number, c.form, c.site.Protocol, c.site.URL, c.Path, c.Header, c.Position)
}

// run makes one request after the other until the context ends.
func (c *Client) run(ctx context.Context) {
	for ctx.Err() == nil {
		visit, leave := context.WithCancel(ctx)
		leaves := c.load.isBusy() && !c.Stays && c.load.LeaveOneIn > 0
		if leaves && chance(c.load.LeaveOneIn) {
			time.AfterFunc(rand.N(c.load.LeaveWithin), leave)
		}
		began := time.Now()
		c.load.requests.Add(1)
		err := c.visit(visit)
		c.listen(time.Time{})
		left := visit.Err() != nil
		leave()
		failure, ok := errors.AsType[*Failure](err)
		switch {
		case err == nil, left && ok && failure.Kind != Reset:
		case ok && c.load.Excuse != nil && c.load.Excuse(c, began, failure):
			c.load.failures.Add(1)
			Pause(ctx, rand.N(100*time.Millisecond))
		default:
			c.load.Breaks("%s %w", c, err)
		}
		if leaves && chance(4) {
			Pause(ctx, rand.N(c.load.LeaveWithin)/4)
		}
	}
}

// visit makes one request and takes what comes of it.
func (c *Client) visit(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	since := c.begin()
	answer, err := again{c.load, c.site.Transport}.RoundTrip(c.request(ctx, since))
	if err != nil {
		return &Failure{Unanswered, err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent {
		err := fmt.Errorf("was answered %s, %s", answer.Status, answer.Header.Get("Parker-Status"))
		if release := (caddytest.Answer{Header: answer.Header}).Release(); release != "none" && release != "" {
			return err // it was parked, so no failure of the backend may be seen
		}
		return &Failure{Refused, err}
	}
	if recovered := answer.Header.Get("Parker-Recovered"); recovered != "" {
		return &Failure{Reset, fmt.Errorf("was answered Parker-Recovered: %s", recovered)}
	}
	if c.form == Stream {
		return c.follow(ctx, answer, since)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return &Failure{Unanswered, err}
	}
	return c.takeAnswer(answer.Header.Get("Last-Event-ID"), string(text), since)
}

func (c *Client) request(ctx context.Context, since int) *http.Request {
	query, header := url.Values{}, make(http.Header)
	for _, line := range c.Header {
		name, value, _ := strings.Cut(line, ": ")
		header.Set(name, value)
	}
	if c.visits++; c.Attempts {
		header.Set(attemptField, fmt.Sprint(c.number, " ", c.visits))
	}
	if c.Rows != nil {
		query.Set("since", strconv.Itoa(since))
	}
	switch c.form {
	case Stream:
		header.Set("Accept", "text/event-stream")
	case Batch:
		header.Set("Accept", "application/json")
		query.Set("batch", "true")
	}
	switch {
	case c.Anew || c.Position == "":
	case len(c.Messages) == 0 && (c.form != Stream || chance(2)): // rows need none
	case c.form == Batch:
		query.Set("last_event_id", c.Position)
	default:
		header.Set("Last-Event-ID", c.Position)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.site.URL+c.Path+"?"+query.Encode(), nil)
	if err != nil {
		panic(err)
	}
	r.Header = header
	return r
}

// follow takes the events of a stream.
func (c *Client) follow(ctx context.Context, answer *http.Response, since int) error {
	if mediaType := answer.Header.Get("Content-Type"); mediaType != "text/event-stream" {
		return fmt.Errorf("was given a stream of type %q", mediaType)
	}
	rest := -1 // number of events after which it leaves
	if c.Most > 0 {
		rest = 1 + rand.N(c.Most)
	}
	for parts := caddytest.NewEventReader(answer.Body); rest != 0; {
		part, err := parts.Next()
		if err == io.EOF && !c.Stays {
			return nil
		}
		if err != nil {
			return &Failure{Broken, fmt.Errorf("had its stream broken off: %w", err)}
		}
		if part.Event != nil {
			if err := c.takeEvent(*part.Event, since); err != nil {
				return err
			}
			rest--
		}
		c.moveTo(part.LastID)
		if c.Rows != nil && c.rows[0].highest > since+manyRows && !c.Stays {
			return nil
		}
		if part.Event != nil && c.load.isBusy() && chance(c.load.StallOneIn) {
			c.stall(ctx)
		}
	}
	return nil
}

// manyRows is the number of rows in an event with which a client leaves a stream, because
// each event has all rows since the stream was opened.
const manyRows = 100

// stall stops reading for a while.
func (c *Client) stall(ctx context.Context) {
	c.listen(time.Time{})
	c.load.stalls.Add(1)
	stalled := rand.N(c.load.StallWithin)
	Pause(ctx, stalled)
	// A sender that found no room tries again at intervals that grow with the time that
	// it has waited: RFC 9293, section 3.8.6.1.
	c.listen(time.Now().Add(stalled))
}
