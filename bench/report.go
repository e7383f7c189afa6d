package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// report is what was measured. What could not be, or was not to be, is null.
type report struct {
	Target  string  `json:"target"` // parker, or the URL of another server
	Machine machine `json:"machine"`

	Parked      *parked      `json:"parked"`
	Streams     *streams     `json:"streams"`
	PassThrough *passThrough `json:"pass_through"`

	// Missing says why a figure could not be measured, by its name, such as
	// parked.bytes_each.
	Missing map[string]string `json:"not_measured,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
}

type machine struct {
	System     string `json:"system"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
}

// parked is about requests that were, all at once.
type parked struct {
	Clients int      `json:"clients"`
	Bytes   *int64   `json:"bytes_each"`
	WakeUp  *release `json:"wake_up"` // publishes without a message
	Message *release `json:"message"` // publishes with one
	Backend *spared  `json:"backend"`
}

// spared is what the backend was asked of what the clients were.
type spared struct {
	Polls int64   `json:"polls"` // that the clients sent
	Asks  int64   `json:"asks"`  // that the backend got
	Saved float64 `json:"saved"` // the share of the polls that cost it nothing
}

// streams is about those that were open, all at once.
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

// missing says why a figure is, if there is a reason.
func (r *report) missing(figure string, why error) {
	if why != nil {
		r.Missing[figure] = why.Error()
	}
}

// note says what whoever reads the figures must know.
func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
