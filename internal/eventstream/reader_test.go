package eventstream

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// told is what a stream tells, as "id type data".
func told(t *testing.T, r *Reader) []string {
	t.Helper()
	var all []string
	for {
		event, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, event.ID+" "+event.Type+" "+string(event.Data))
	}
}

func readerAfter(lastID string, stream io.Reader) *Reader {
	r := NewReader(stream)
	r.LastID = lastID
	return r
}

func TestReaderReadsAsBrowsersDo(t *testing.T) {
	for stream, want := range map[string][]string{
		"data: a\n\n":                {"0  a"},
		"\uFEFFdata: a\n\n":          {"0  a"},
		"data:a\ndata:  b\ndata\n\n": {"0  a\n b\n"},
		"data\n\n":                   {"0  "},
		"id: 1\nevent: x\ndata: a\n\ndata: b\n\n":   {"1 x a", "1  b"},
		"id: 1\n\nevent: x\n\ndata: a\n\n":          {"1  a"},
		"id: 1\x002\ndata: a\n\nid\ndata: b\n\n":    {"0  a", "  b"},
		": comment\nother: field\nretry: x\n\n":     nil,
		"data: a\n\ndata: not whole\n":              {"0  a"},
		"data: a\n\nid: 7\ndata: not whole":         {"0  a"},
		"data: \u00fc\u65e5\ndata: a: b\n\n\n\n":    {"0  \u00fc\u65e5\na: b"},
		"id: 1\ndata: a\n\nid: 2\nevent: y\n\n":     {"1  a"},
		"event: parker.reset\nid: 3\ndata: \n\n:\n": {"3 parker.reset "},
	} {
		for name, lineEnd := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
			stream := strings.ReplaceAll(stream, "\n", lineEnd)
			if got := told(t, readerAfter("0", strings.NewReader(stream))); !slices.Equal(got, want) {
				t.Errorf("%s, %q: %q, want %q", name, stream, got, want)
			}
			if got := told(t, readerAfter("0", iotest.OneByteReader(strings.NewReader(stream)))); !slices.Equal(got, want) {
				t.Errorf("%s, %q, byte by byte: %q, want %q", name, stream, got, want)
			}
		}
	}
}

func TestReaderReturnsLastEventIDAndRetry(t *testing.T) {
	r := NewReader(strings.NewReader("retry: 1500\n\nid: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: not whole\n"))
	told(t, r)
	if r.LastID != "2" || r.Retry != 1500*time.Millisecond {
		t.Errorf("the last event ID is %q, and to come back after %s", r.LastID, r.Retry)
	}
}

func TestReaderReturnsEventAtEndOfLastLine(t *testing.T) {
	for _, lineEnd := range []string{"\n", "\r\n", "\r"} {
		reader, writer := io.Pipe()
		defer writer.Close()
		go io.WriteString(writer, "data: a"+lineEnd+lineEnd)
		event, err := NewReader(reader).Next()
		if err != nil || string(event.Data) != "a" {
			t.Errorf("%q: %+v, %v", lineEnd, event, err)
		}
	}
}

func TestReaderReadsWhatAppendEventWrites(t *testing.T) {
	want := Event{ID: "E-1", Type: "x", Data: []byte("a\n\nb")}
	got, err := NewReader(strings.NewReader(string(AppendEvent(nil, want)))).Next()
	if err != nil || got.ID != want.ID || got.Type != want.Type || string(got.Data) != string(want.Data) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReaderRefusesLongLine(t *testing.T) {
	if _, err := NewReader(endless{}).Next(); !errors.Is(err, errLineTooLong) {
		t.Errorf("the error is %v", err)
	}
}

// endless is a stream of zeros, whose first line never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestReaderReturnsErrorAfterEvents(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader(iotest.DataErrReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))))
	if event, err := r.Next(); err != nil || string(event.Data) != "a" {
		t.Errorf("first %+v, %v", event, err)
	}
	for range 2 {
		if event, err := r.Next(); !errors.Is(err, broken) {
			t.Errorf("then %+v, %v", event, err)
		}
	}
}

// FuzzReaderReadsAsSpecified compares a Reader with the parser of the tests.
func FuzzReaderReadsAsSpecified(f *testing.F) {
	f.Add([]byte("\uFEFFdata: a\r\n\r\nid: 1\rdata: b\r\rretry: 3\n\nevent: x\n:\ndata\n\n"))
	f.Add([]byte("id: 1\n\nid: 2\x00\ndata\ndata\n\nevent: y\n\ndata: :\n\nid: 3\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		stream = []byte(string([]rune(string(stream)))) // only browsers replace invalid bytes
		want := hear(stream)
		for _, pieces := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
			r := NewReader(pieces)
			var got []dispatched
			event, err := r.Next()
			for ; err == nil; event, err = r.Next() {
				got = append(got, dispatched{event.ID, cmp.Or(event.Type, "message"), string(event.Data)})
			}
			if err != io.EOF || r.LastID != want.lastID || !slices.Equal(got, want.events) {
				t.Fatalf("%q was read as %q, then %q, %v; want %q, %q", stream, got, r.LastID, err, want.events, want.lastID)
			}
		}
	})
}
