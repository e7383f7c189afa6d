package command

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
)

// told is what a stream tells, as "id type data".
func told(t *testing.T, r *eventReader) []string {
	t.Helper()
	var all []string
	for {
		event, err := r.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, event.ID+" "+event.Type+" "+string(event.Data))
	}
}

func TestAStreamIsReadAsBrowsersDo(t *testing.T) {
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
			if got := told(t, newEventReader(strings.NewReader(stream), "0")); !slices.Equal(got, want) {
				t.Errorf("%s, %q: %q, want %q", name, stream, got, want)
			}
			if got := told(t, newEventReader(iotest.OneByteReader(strings.NewReader(stream)), "0")); !slices.Equal(got, want) {
				t.Errorf("%s, %q, byte by byte: %q, want %q", name, stream, got, want)
			}
		}
	}
}

func TestAStreamSaysWhereAndWhenToComeBack(t *testing.T) {
	r := newEventReader(strings.NewReader("retry: 1500\n\nid: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: not whole\n"), "")
	told(t, r)
	if r.lastID != "2" || r.retry != 1500*time.Millisecond {
		t.Errorf("the last event ID is %q, and to come back after %s", r.lastID, r.retry)
	}
}

func TestAnEventIsThereAsSoonAsItsLastLineEnds(t *testing.T) {
	for _, lineEnd := range []string{"\n", "\r\n", "\r"} {
		reader, writer := io.Pipe()
		defer writer.Close()
		go io.WriteString(writer, "data: a"+lineEnd+lineEnd)
		event, err := newEventReader(reader, "").next()
		if err != nil || string(event.Data) != "a" {
			t.Errorf("%q: %+v, %v", lineEnd, event, err)
		}
	}
}

func TestWhatIsWrittenToStreamsIsReadFromThem(t *testing.T) {
	want := eventstream.Event{ID: "E-1", Type: "x", Data: []byte("a\n\nb")}
	got, err := newEventReader(strings.NewReader(string(eventstream.AppendEvent(nil, want))), "").next()
	if err != nil || got.ID != want.ID || got.Type != want.Type || string(got.Data) != string(want.Data) {
		t.Errorf("%+v, %v", got, err)
	}
}
