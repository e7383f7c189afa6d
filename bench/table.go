package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
)

// writeTable writes the figures as a table.
func (r *report) writeTable(w io.Writer) error {
	var t table
	fmt.Fprintf(&t.text, "%s on %s with %d processors, %s\n", r.Target, r.Machine.System, r.Machine.Processors, r.Machine.Go)
	if r.Parked != nil || r.Streams != nil {
		fmt.Fprintf(&t.text, "\n%-38s %8s %9s %9s %9s %9s %7s\n", "from a publish to the answer, in ms", "clients", "first", "p50", "p99", "last", "missed")
	}
	if f := r.Parked; f != nil {
		t.release(r, "parked requests, by a wake-up", "parked.wake_up", f.Clients, f.WakeUp)
		t.release(r, "parked requests, by a message", "parked.message", f.Clients, f.Message)
	}
	if f := r.Streams; f != nil {
		t.release(r, "streams, by a message", "streams.message", f.Clients, f.Message)
	}
	t.text.WriteByte('\n')
	if f := r.Parked; f != nil {
		t.memory(r, "memory of a parked request", "parked.bytes_each", f.Bytes)
	}
	if f := r.Streams; f != nil {
		t.memory(r, "memory of a stream", "streams.bytes_each", f.Bytes)
	}
	if f := r.Parked; f != nil {
		t.spared(r, f.Backend)
	}
	t.passThrough(r)
	t.compared(r)
	for _, note := range r.Notes {
		fmt.Fprintf(&t.text, "\n%s\n", note)
	}
	_, err := t.text.WriteTo(w)
	return err
}

// table collects the rows of a table. A figure that is missing is shown as a dash and the
// reason.
type table struct{ text bytes.Buffer }

func (t *table) release(r *report, what, name string, clients int, f *release) {
	if f == nil {
		t.row(what, "%8s %9s   %s", grouped(clients), "-", r.Missing[name])
		return
	}
	t.row(what, "%8s %9.2f %9.2f %9.2f %9.2f %7d", grouped(clients), f.First, f.P50, f.P99, f.Last, f.Missed)
}

func (t *table) memory(r *report, what, name string, bytesEach *int64) {
	if bytesEach == nil {
		t.row(what, "-   %s", r.Missing[name])
		return
	}
	t.row(what, "%s bytes", grouped(int(*bytesEach)))
}

func (t *table) spared(r *report, f *spared) {
	const what = "polls that the backend was spared"
	if f == nil {
		t.row(what, "-   %s", r.Missing["parked.backend"])
		return
	}
	t.row(what, "%.1f %%: %s polls were %s asks", 100*f.Saved, grouped(int(f.Polls)), grouped(int(f.Asks)))
}

func (t *table) passThrough(r *report) {
	const what = "processor time of a passing request"
	f := r.PassThrough
	if f == nil {
		t.row(what, "-   %s", r.Missing["pass_through"])
		return
	}
	t.row(what, "%.0f µs, without parker %.0f µs: %+.1f %%", f.With, f.Without, 100*(f.Ratio-1))
}

func (t *table) compared(r *report) {
	f := r.Compared
	if f == nil {
		return
	}
	fmt.Fprintf(&t.text, "\n%-38s %10s %10s %7s\n", fmt.Sprintf("%s clients in %s rounds", grouped(f.Clients), grouped(f.Rounds)), "parker", "bare", "ratio")
	t.pair(r, "processor time of a released poll, µs", "compared.poll_us", f.Poll)
	t.pair(r, "from a publish to the last client, ms", "compared.last_ms", f.Last)
	t.pair(r, "processor time of a publish, µs", "compared.publish_us", f.Publish)
	t.pair(r, "publishes in a second", "compared.publishes_per_second", f.Rate)
}

func (t *table) pair(r *report, what, name string, f *pair) {
	if f == nil {
		t.row(what, "%10s   %s", "-", r.Missing[name])
		return
	}
	t.row(what, "%10.1f %10.1f %7.2f", f.Parker, f.Bare, f.Ratio)
}

func (t *table) row(what, format string, args ...any) {
	fmt.Fprintf(&t.text, "%-38s "+format+"\n", append([]any{what}, args...)...)
}

// grouped formats a number with commas.
func grouped(n int) string { return humanize.Comma(int64(n)) }
