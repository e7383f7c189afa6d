package advise

import "time"

// Report says what the traffic shows.
type Report struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Requests int       `json:"requests"`
	Polls    []Poll    `json:"polls"`
}

// Poll is a request that pages send again and again.
type Poll struct {
	Method string `json:"method"`
	Host   string `json:"host,omitempty"`
	Path   string `json:"path"` // with * in place of what varies
	Call   *Call  `json:"call,omitempty"`

	Clients int           `json:"clients"`
	Every   time.Duration `json:"every"`
	Waiting Waiting       `json:"waiting,omitempty"`
	Asks    int           `json:"asks"`
	Same    int           `json:"same"` // answers that parker would have held
	Streams bool          `json:"streams,omitempty"`
	Held    bool          `json:"held,omitempty"` // by the backend

	Fields     []Field     `json:"fields,omitempty"`
	NothingNew []string    `json:"nothing_new,omitempty"` // lines of the block; none: the default
	Hold       bool        `json:"hold"`                  // there is something to hold
	Reason     string      `json:"reason"`
	Warnings   []string    `json:"warnings,omitempty"`
	Channels   []string    `json:"channels,omitempty"` // none: the path
	Publishers []Publisher `json:"publishers,omitempty"`
	Changes    int         `json:"changes"`
	Unknown    int         `json:"unexplained_changes"` // that no write explains
	Apart      Duration    `json:"unexplained_apart,omitempty"`
	Public     bool        `json:"share_public"`
	Sharing    Sharing     `json:"sharing"`
	Gain       Gain        `json:"gain"`

	cookies bool // some polls have some, or it is not known
}

// Duration is a time span, in JSON a number of nanoseconds.
type Duration = time.Duration

// Call names one of several calls with one URL.
type Call struct {
	In    string `json:"in"` // query, form or json
	Name  string `json:"name"`
	Value string `json:"value"`
	Batch bool   `json:"batch,omitempty"`
}

// Field is a parameter, a member of the body or a segment of the path, and what it is for.
type Field struct {
	In   string `json:"in"`
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// Publisher is a kind of write after which the answer of a poll changes.
type Publisher struct {
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Call     *Call    `json:"call,omitempty"`
	Writes   int      `json:"writes"`
	Followed int      `json:"followed"` // by a change
	Within   Duration `json:"within"`   // usually
	Channels []string `json:"channels,omitempty"`
}

// Sharing says whether clients got the same news.
type Sharing struct {
	Same      int  `json:"same"` // times that another client got the same news for the same URL
	Different int  `json:"different"`
	SetCookie bool `json:"set_cookie"`
	NoStore   bool `json:"no_store"`
	Varies    bool `json:"varies"`
}

// Gain says what parker would have brought.
type Gain struct {
	Asks   int      `json:"asks"`   // that the backend got
	Spared int      `json:"spared"` // that it would not have got
	Time   Duration `json:"time"`   // that it would not have been busy
	Sooner Duration `json:"sooner"` // that news would have come on average, if a write explains them
	Parked int      `json:"parked"` // held requests at once, at most
}
