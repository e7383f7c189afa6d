package eventstream

import (
	"reflect"
	"testing"
)

func TestFollowerIsBetweenEventsOnly(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   bool
	}{
		"the start":                        {"", true},
		"an event":                         {"data: a\n\n", true},
		"an event, by CR":                  {"data: a\r\r", true},
		"an event, by CRLF":                {"data: a\r\n\r\n", true},
		"CR, of what may be CRLF":          {"data: a\r\n\r", true},
		"CR and then LF are one end":       {"data: a\r\n", false},
		"LF and then CR are two":           {"data: a\n\r", true},
		"a line begun":                     {"d", false},
		"a line not ended":                 {"data: a", false},
		"a line ended":                     {"data: a\n", false},
		"more lines of an event":           {"data: a\nid: 1\n", false},
		"the next event begun":             {"data: a\n\ndata", false},
		"a comment begun":                  {":", false},
		"a comment":                        {": a\n", true},
		"a comment behind an event":        {"data: a\n\n:\n", true},
		"a comment in an event":            {"data: a\n:\n", false},
		"an event behind a comment":        {":\ndata: a\n", false},
		"an unknown field":                 {"x\n", false},
		"a space is a line":                {"data: a\n \n", false},
		"empty lines":                      {"\n\r\r\n\n", true},
		"a byte order mark":                {"\uFEFF", true},
		"part of a byte order mark":        {"\xEF\xBB", true},
		"a byte order mark and an event":   {"\uFEFFdata: a\n\n", true},
		"a byte order mark and a line":     {"\uFEFFdata: a\n", false},
		"a byte order mark and a comment":  {"\uFEFF:\n", true},
		"two byte order marks":             {"\uFEFF\uFEFF:\n", false},
		"a byte order mark behind a line":  {"\n\uFEFF", false},
		"what begins like such a mark":     {"\xEF\xBBa", false},
		"a retry":                          {"retry: 1\n\n", true},
		"an ID that no empty line follows": {"id: 1\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			var whole Follower
			whole.Follow([]byte(test.stream))
			if got := whole.Between(); got != test.want {
				t.Errorf("in one piece, behind %q: Between = %v", test.stream, got)
			}
			var bytewise Follower
			for i := range len(test.stream) {
				bytewise.Follow([]byte{test.stream[i]})
			}
			if got := bytewise.Between(); got != test.want {
				t.Errorf("byte by byte, behind %q: Between = %v", test.stream, got)
			}
		})
	}
}

func TestFollowerRemovesByteOrderMarkAtStartOnly(t *testing.T) {
	for stream, want := range map[string]string{
		"":                     "",
		"data: a\n\n":          "data: a\n\n",
		"\uFEFFdata: a\n\n":    "data: a\n\n",
		"\uFEFF\uFEFF":         "\uFEFF",
		"\n\uFEFF":             "\n\uFEFF",
		"\xEF\xBBdata: a\n\n":  "\xEF\xBBdata: a\n\n",
		"\xEF\xEF\xBB\xBF":     "\xEF\xEF\xBB\xBF",
		"\xBB\xBFdata: a\n\n":  "\xBB\xBFdata: a\n\n",
		"\uFEFF\xEF\xBBdata\n": "\xEF\xBBdata\n",
	} {
		for size := 1; size <= max(len(stream), 1); size++ {
			var b Follower
			var got []byte
			for rest := []byte(stream); len(rest) > 0; {
				n := min(size, len(rest))
				got = append(got, b.Follow(rest[:n])...)
				rest = rest[n:]
			}
			if string(got) != want {
				t.Errorf("%q in pieces of %d bytes came out as %q, want %q", stream, size, got, want)
			}
		}
	}
}

// FuzzFollowerCommentsChangeNoEvent splits a stream into pieces and inserts comments wherever a
// Follower allows it.
func FuzzFollowerCommentsChangeNoEvent(f *testing.F) {
	f.Add([]byte("\uFEFFdata: a\r\n\r\nid: 1\rdata: b\r\rretry: 3\n\nevent: x\n:\ndata\n\n"), []byte{1, 2, 0, 9, 1})
	f.Add([]byte("data: a\n\n\uFEFFdata: b\n\nid: 4\n"), []byte{1})
	f.Add([]byte("\xEF\xBBdata\n\n\r\n\xEF"), []byte{1, 1, 1})
	f.Add([]byte("data: x\r\n\r\n\r\n: c\r\n\ndata\x00: y\n \n\n"), []byte{9, 1, 1, 1})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		var b Follower
		var sent []byte
		for i, rest := 0, stream; ; i++ {
			if b.Between() {
				sent = AppendComment(sent, "")
			}
			if len(rest) == 0 {
				break
			}
			n := len(rest)
			if len(sizes) > 0 {
				n = min(n, int(sizes[i%len(sizes)]))
			}
			if n == 0 && i > len(sizes) {
				n = 1
			}
			sent = append(sent, b.Follow(rest[:n])...)
			rest = rest[n:]
		}
		want, got := hear(stream), hear(sent)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, sent as %q, was heard as %+v, want %+v", stream, sent, got, want)
		}
	})
}

func BenchmarkFollow(b *testing.B) {
	stream := []byte("id: 0123456789abcdef-42\ndata: {\"lat\":47.37,\"lon\":8.54}\n\n")
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	var follower Follower
	for b.Loop() {
		follower.Follow(stream)
	}
}
