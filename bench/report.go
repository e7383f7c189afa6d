package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// report holds the figures. Figures that were not measured are null.
type report struct {
	Target  string  `json:"target"` // "parker", or the URL of another server
	Machine machine `json:"machine"`

	Parked      *parked      `json:"parked"`
	Streams     *streams     `json:"streams"`
	PassThrough *passThrough `json:"pass_through"`
	Compared    *compared    `json:"compared"`

	// Missing maps the name of a figure, such as parked.bytes_each, to the reason why it
	// could not be measured.
	Missing map[string]string `json:"not_measured,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
}

type machine struct {
	System     string `json:"system"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
}

// parked holds the figures of requests that are parked at the same time.
type parked struct {
	Clients int      `json:"clients"`
	Bytes   *int64   `json:"bytes_each"`
	WakeUp  *release `json:"wake_up"` // publishes without a message
	Message *release `json:"message"` // publishes with one
	Backend *spared  `json:"backend"`
}

// spared compares the requests of clients with those that the backend received.
type spared struct {
	Polls int64   `json:"polls"` // polls that clients sent
	Asks  int64   `json:"asks"`  // asks that the backend received
	Saved float64 `json:"saved"` // the share of polls that did not reach the backend
}

// streams holds the figures of streams that are open at the same time.
type streams struct {
	Clients int      `json:"clients"`
	Bytes   *int64   `json:"bytes_each"`
	Message *release `json:"message"`
}

func newReport(o *options) *report {
	r := &report{
		Target:  "parker",
		Machine: machine{runtime.GOOS + "/" + runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version()},
		Missing: make(map[string]string),
	}
	if o.url != nil {
		r.Target = o.url.String()
	}
	return r
}

// missing records why a figure is missing. It does nothing if why is nil.
func (r *report) missing(figure string, why error) {
	if why != nil {
		r.Missing[figure] = why.Error()
	}
}

// note adds a note for the reader of the figures.
func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
