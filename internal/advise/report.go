package advise

import (
	"encoding/json"
	"time"
)

// Report says what the traffic shows. Its JSON is that of `GET /parker/advice` and of
// `caddy parker advise --json`. It contains names and shapes, but no cookie, credential,
// value of a query, or body.
type Report struct {
	From     time.Time `json:"from"` // when the first request came
	To       time.Time `json:"to"`   // when the last answer had ended
	Requests int       `json:"requests"`

	// HeldThoughDifferent is the sum over all polls.
	HeldThoughDifferent int    `json:"held_though_different"`
	Polls               []Poll `json:"polls"` // the one with the most asks first
}

// Poll is a request that pages send again and again.
type Poll struct {
	Method string `json:"method"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path"` // with * in place of what varies
	Call   *Call  `json:"call,omitempty"`

	Clients int     `json:"clients"`         // that ask regularly
	Every   Seconds `json:"every_seconds"`   // between two of its asks, usually
	Waiting Waiting `json:"waiting"`         // "timer", "waits" for its answer, or "" if nothing shows that
	Asks    int     `json:"asks"`            // that the backend got
	Same    int     `json:"same"`            // of those that are kept, answers that parker would have held
	Streams bool    `json:"streams"`         // the backend answers with an event stream
	Held    bool    `json:"held_by_backend"` // the backend makes it wait
	Already bool    `json:"already"`         // parker handles it already, and nothing is advised

	Fields     []Field  `json:"fields,omitempty"` // that vary
	Hold       bool     `json:"hold"`             // there is something to hold
	NothingNew []string `json:"nothing_new,omitempty"`
	Reason     string   `json:"reason"` // why that, or why nothing
	Warnings   []string `json:"warnings,omitempty"`

	// HeldThoughDifferent counts answers that would be held although they differ from the one
	// before. Whether they are news is for a person to decide.
	HeldThoughDifferent int `json:"held_though_different"`

	Channels   []string    `json:"channels,omitempty"` // none: the path
	Publishers []Publisher `json:"publishers,omitempty"`
	Changes    int         `json:"changes"`                             // times that a client got news
	Certainty  Certainty   `json:"certainty"`                           // of what is said about changes
	Unknown    int         `json:"unexplained_changes"`                 // that no write explains
	Apart      Seconds     `json:"unexplained_apart_seconds,omitempty"` // usually

	Public  bool     `json:"share_public"`
	ShareBy []string `json:"share_by,omitempty"` // placeholders of cookies and credentials
	Sharing Sharing  `json:"sharing"`
	Gain    Gain     `json:"gain"`

	route   *route // that it was found in, or nil
	cookies bool   // some polls have some, or it is not known
	idle    bool   // nothing is held, as clients cannot be recognized
	sooner  time.Duration
	shared  []uint64 // names of the credentials in ShareBy
}

// Certainty says how often something was seen that a piece of advice depends on.
type Certainty string

const (
	Never  Certainty = "never seen"
	Seldom Certainty = "seldom seen" // up to 3 times
	Seen   Certainty = "seen"        // up to 19 times
	Often  Certainty = "often seen"
)

func certaintyOf(times int) Certainty {
	switch {
	case times == 0:
		return Never
	case times <= 3:
		return Seldom
	case times < 20:
		return Seen
	}
	return Often
}

// Seconds is a time span, in JSON a number of seconds.
type Seconds time.Duration

// Duration returns the time span.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// String returns the time span as people read it.
func (s Seconds) String() string { return rounded(time.Duration(s)) }

// MarshalJSON implements [json.Marshaler].
func (s Seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	*s = Seconds(seconds * float64(time.Second))
	return nil
}

// Call names one of several calls with one URL.
type Call struct {
	In    string `json:"in"` // query, form or json
	Name  string `json:"name"`
	Value string `json:"value"`
	Batch bool   `json:"batch,omitempty"` // it is one of the calls in a JSON array
}

// InBody reports whether the body of a request names the call.
func (c *Call) InBody() bool { return place(c.In) == inForm || place(c.In) == inJSON }

// Field is a parameter, a member of the body or a segment of the path, and what it is for.
type Field struct {
	In   string `json:"in"`   // path, query, form or json
	Name string `json:"name"` // of a segment, its number from 0
	Role Role   `json:"role"`
}

// Publisher is a kind of write after which the answer of a poll changes.
type Publisher struct {
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Call      *Call     `json:"call,omitempty"`
	Writes    int       `json:"writes"`
	Followed  int       `json:"followed"` // by a change, or by polls that were refused
	Refuses   bool      `json:"refuses,omitempty"`
	Within    Seconds   `json:"within_seconds"` // usually
	Certainty Certainty `json:"certainty"`
	Channels  []string  `json:"channels,omitempty"` // none: the path
}

// Sharing says whether clients got the same news.
type Sharing struct {
	Same      int       `json:"same"`       // times that another client got the same news
	Different int       `json:"different"`  // times that it did not
	Doubtful  int       `json:"doubtful"`   // times that it may have got the next news instead
	Certainty Certainty `json:"certainty"`  // of the same
	SetCookie bool      `json:"set_cookie"` // answers set cookies that differ
	NoStore   bool      `json:"no_store"`
	Private   bool      `json:"private"`
	Varies    bool      `json:"varies"`  // by cookies or credentials
	Unknown   bool      `json:"unknown"` // the cookies of the requests, so nothing is shared
}

// Gain says what parker would have brought, for the requests that are kept.
type Gain struct {
	Asks   int     `json:"asks"`           // that the backend got
	Spared int     `json:"spared"`         // that it would not have got
	Time   Seconds `json:"time_seconds"`   // that it would not have been busy
	Sooner Seconds `json:"sooner_seconds"` // that news would have come on average, where writes explain them
	Parked int     `json:"parked"`         // held requests at once, at most
	Memory int     `json:"memory_bytes"`   // that they take over HTTP/1.1, about
}
