package eventstream

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendEventWritesAsSpecified(t *testing.T) {
	for name, test := range map[string]struct {
		event Event
		want  string
	}{
		"data alone":                 {Event{Data: []byte("a")}, "data: a\n\n"},
		"all fields":                 {Event{"e-7", "news", []byte("a")}, "id: e-7\nevent: news\ndata: a\n\n"},
		"the default type":           {Event{Type: "message", Data: []byte("a")}, "data: a\n\n"},
		"no data":                    {Event{ID: "1"}, "id: 1\ndata: \n\n"},
		"LF":                         {Event{Data: []byte("a\nb")}, "data: a\ndata: b\n\n"},
		"CR":                         {Event{Data: []byte("a\rb")}, "data: a\ndata: b\n\n"},
		"CRLF":                       {Event{Data: []byte("a\r\nb")}, "data: a\ndata: b\n\n"},
		"LF and then CR":             {Event{Data: []byte("a\n\rb")}, "data: a\ndata: \ndata: b\n\n"},
		"CR and then CRLF":           {Event{Data: []byte("a\r\r\nb")}, "data: a\ndata: \ndata: b\n\n"},
		"LF at the end":              {Event{Data: []byte("a\n")}, "data: a\ndata: \n\n"},
		"CR at the end":              {Event{Data: []byte("a\r")}, "data: a\ndata: \n\n"},
		"only a line's end":          {Event{Data: []byte("\r\n")}, "data: \ndata: \n\n"},
		"leading space":              {Event{" 1", " t", []byte(" a")}, "id:  1\nevent:  t\ndata:  a\n\n"},
		"data like a field":          {Event{Data: []byte("a\nid: 9\n\ndata: b")}, "data: a\ndata: id: 9\ndata: \ndata: data: b\n\n"},
		"data like a comment":        {Event{Data: []byte(":")}, "data: :\n\n"},
		"NUL in data":                {Event{Data: []byte("a\x00")}, "data: a\x00\n\n"},
		"an ID that breaks out":      {Event{ID: "1\ndata: x\r\n\r\n", Data: []byte("a")}, "id: 1data: x\ndata: a\n\n"},
		"NUL in an ID":               {Event{ID: "1\x002", Data: []byte("a")}, "id: 12\ndata: a\n\n"},
		"a type that breaks out":     {Event{Type: "t\r\rdata: x\x00", Data: []byte("a")}, "event: tdata: x\ndata: a\n\n"},
		"a type of what is left out": {Event{Type: "\n", Data: []byte("a")}, "event: \ndata: a\n\n"},
		"beyond ASCII":               {Event{"ü", "☕", []byte("日本\u2028\u0085")}, "id: ü\nevent: ☕\ndata: 日本\u2028\u0085\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(AppendEvent([]byte(":before\n"), test.event)); got != ":before\n"+test.want {
				t.Errorf("AppendEvent = %q, want %q", got, test.want)
			}
		})
	}
}

func TestAppendCommentAndIDMakeNoEvent(t *testing.T) {
	for name, test := range map[string]struct {
		stream []byte
		text   string
		want   heard
	}{
		"a comment":                  {AppendComment(nil, "hello"), ": hello\n", heard{}},
		"an empty comment":           {AppendComment(nil, ""), ": \n", heard{}},
		"a comment that breaks out":  {AppendComment(nil, "a\n\rdata: x\r\n\n"), ": adata: x\n", heard{}},
		"an ID":                      {AppendID(nil, "e-8"), "id: e-8\n\n", heard{lastID: "e-8"}},
		"an ID that breaks out":      {AppendID(nil, "8\n\ndata: x\x00"), "id: 8data: x\n\n", heard{lastID: "8data: x"}},
		"an ID taken back":           {AppendID(AppendID(nil, "8"), ""), "id: 8\n\nid: \n\n", heard{}},
		"a wait":                     {AppendRetry(nil, 2*time.Second), "retry: 2000\n\n", heard{waits: []int{2000}}},
		"a wait in milliseconds":     {AppendRetry(nil, 1999999*time.Microsecond), "retry: 1999\n\n", heard{waits: []int{1999}}},
		"a wait that is none at all": {AppendRetry(nil, -time.Second), "retry: 0\n\n", heard{waits: []int{0}}},
	} {
		t.Run(name, func(t *testing.T) {
			if string(test.stream) != test.text {
				t.Errorf("written as %q, want %q", test.stream, test.text)
			}
			if got := hear(test.stream); !reflect.DeepEqual(got, test.want) {
				t.Errorf("heard as %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAppendEventAllocatesNothingWithRoom(t *testing.T) {
	event := Event{"0123456789abcdef-42", "news", []byte("{\n\"a\": 1,\r\n\"b\": 2\r}")}
	room := make([]byte, 0, 512)
	if allocations := testing.AllocsPerRun(100, func() {
		stream := AppendRetry(AppendComment(room, "hello"), time.Second)
		stream = AppendEvent(stream, event)
		_ = AppendID(stream, event.ID)
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// FuzzAppendEventIsReadBack encodes two events with comments, an ID and a retry field around
// them, and parses the result with an independent client.
func FuzzAppendEventIsReadBack(f *testing.F) {
	f.Add("e-1", "news", []byte("a\r\nb\rc\n"), " text", uint32(2000))
	f.Add("1\n\ndata: x", "t\x00\r", []byte("\n\n\r\r\n: data\nid: 7"), "\r\ndata: y\n\n", uint32(0))
	f.Add("", "message", []byte(""), "", uint32(1<<32-1))
	f.Add(" ", " ", []byte("\uFEFF \xff\xe2\x82"), "\uFEFF", uint32(1))
	f.Fuzz(func(t *testing.T, id, eventType string, data []byte, comment string, wait uint32) {
		stream := AppendComment(nil, comment)
		stream = AppendRetry(stream, time.Duration(wait)*time.Millisecond)
		stream = AppendEvent(stream, Event{id, eventType, data})
		stream = AppendComment(stream, comment)
		stream = AppendEvent(stream, Event{Data: data})
		stream = AppendID(stream, id+"!")

		broken := strings.NewReplacer("\r", "", "\n", "", "\x00", "")
		valid := func(text string) string { return string([]rune(text)) }
		event := dispatched{valid(broken.Replace(id)), valid(broken.Replace(eventType)), ""}
		if event.eventType == "" {
			event.eventType = "message"
		}
		event.data = valid(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data)))
		want := heard{
			events: []dispatched{event, {event.id, "message", event.data}},
			lastID: valid(broken.Replace(id) + "!"),
			waits:  []int{int(wait)},
		}
		if got := hear(stream); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q was heard as %+v, want %+v", stream, got, want)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	for name, data := range map[string][]byte{
		"short":         []byte(`{"lat":47.37,"lon":8.54}`),
		"64 KB in one":  bytes.Repeat([]byte("x"), 64_000),
		"64 KB of ends": bytes.Repeat([]byte("\r"), 64_000),
	} {
		b.Run(name, func(b *testing.B) {
			event := Event{"0123456789abcdef-42", "position", data}
			stream := AppendEvent(nil, event)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				stream = AppendEvent(stream[:0], event)
			}
		})
	}
}
