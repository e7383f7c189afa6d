package traffic

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

// readAll reads a file that must have no error.
func readAll(t testing.TB, file string) (observations []advise.Observation, skipped []Skipped) {
	t.Helper()
	return readFrom(t, strings.NewReader(file))
}

func readFrom(t testing.TB, file io.Reader) (observations []advise.Observation, skipped []Skipped) {
	t.Helper()
	for o, err := range New().Read(file, func(s Skipped) { skipped = append(skipped, s) }) {
		if err != nil {
			t.Fatal(err)
		}
		observations = append(observations, o)
	}
	return observations, skipped
}

// errorOf reads a file that must have an error, and returns it.
func errorOf(t *testing.T, file io.Reader) (observed int, last error) {
	t.Helper()
	for _, err := range New().Read(file, nil) {
		if last != nil {
			t.Fatal("the error was not the last")
		}
		if last = err; err == nil {
			observed++
		}
	}
	if last == nil {
		t.Fatal("there is no error")
	}
	return observed, last
}

// line is a line in the combined format.
func line(second int, target, more string) string {
	return fmt.Sprintf(`192.0.2.1 - - [30/Nov/2026:10:%02d:%02d +0000] "GET %s HTTP/1.1" 200 2 "-" "Mozilla/5.0"%s`+"\n", second/60, second%60, target, more)
}

func paths(observations []advise.Observation) (paths []string) {
	for _, o := range observations {
		paths = append(paths, o.Path)
	}
	return paths
}

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer := gzip.NewWriter(&buffer)
	if _, err := writer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestReadDecompressesSeveralGzipStreams(t *testing.T) {
	file := append(zipped(t, line(0, "/a", "")), zipped(t, line(1, "/b", ""))...)
	observations, _ := readFrom(t, bytes.NewReader(file))
	if got := paths(observations); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("read %q", got)
	}
}

func TestReadGivesObservationsBeforeErrorOfCutFile(t *testing.T) {
	whole := zipped(t, strings.Repeat(line(0, "/a", ""), 1000))
	observed, err := errorOf(t, bytes.NewReader(whole[:len(whole)-4]))
	if observed == 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d observations, and the error %v", observed, err)
	}
}

func TestReadRecognisesEachLine(t *testing.T) {
	file := "\xef\xbb\xbf" + line(0, "/nginx", "") +
		"\n   \r\n" +
		"Starting up.\r\n" +
		`{"ts":1796032801,"logger":"http.log.access","request":{"method":"GET","uri":"/caddy"},"status":200}` + "\r\n" +
		strings.Repeat("long", maxLine) + "\n" +
		strings.TrimSpace(line(2, "/last", ""))
	observations, skipped := readAll(t, file)
	if got := paths(observations); !slices.Equal(got, []string{"/nginx", "/caddy", "/last"}) {
		t.Errorf("read %q", got)
	}
	if want := []Skipped{{4, Unknown}, {6, TooLong}}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
}

func TestReadOfUnknownFileSaysWhatIsExpected(t *testing.T) {
	for name, file := range map[string]string{
		"empty":            "",
		"text":             "Dear diary,\n\ntoday I polled.\n",
		"binary":           "\x00\x01\x02\xff\xfe\n",
		"other JSON":       "{\"a\": 1}\n[]\n",
		"HAR without rows": `{"log": {"version": "1.2", "entries": []}}`,
		"HAR of another":   `{"log": {}}`,
	} {
		t.Run(name, func(t *testing.T) {
			observed, err := errorOf(t, strings.NewReader(file))
			if observed != 0 || !errors.Is(err, errNotUnderstood) {
				t.Errorf("%d observations, and the error %v", observed, err)
			}
		})
	}
}

func TestReadSortsByBeginning(t *testing.T) {
	// nginx logs when the answer has ended: the first poll was held for 25 seconds.
	file := line(10, "/quick", " 0.010") + line(30, "/held", " 25.000") + line(31, "/next", " 0.001") + line(31, "/after", " 0.001")
	observations, _ := readAll(t, file)
	if got := paths(observations); !slices.Equal(got, []string{"/held", "/quick", "/next", "/after"}) {
		t.Errorf("read %q", got)
	}
}

func TestReadHandsOverWhileFileGoesOn(t *testing.T) {
	reader, writer := io.Pipe()
	go func() {
		for second := 0; ; second = (second + 1) % 3600 {
			if _, err := writer.Write([]byte(line(second, "/poll", ""))); err != nil {
				return // the test has seen enough
			}
		}
	}()
	defer reader.Close()
	seen := 0
	for _, err := range New().Read(reader, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1000 {
			break
		}
	}
}

func TestOrderKeepsMemoryBounded(t *testing.T) {
	handed := 0
	o := order{yield: func(advise.Observation) bool { handed++; return true }}
	begun := time.Now()
	text := make([]byte, MaxBody)
	for range 1000 {
		o.add(&placed{Observation: advise.Observation{Begun: begun, Text: text}})
	}
	if o.bytes > maxPendingBytes || len(o.pending)+handed != 1000 {
		t.Errorf("%d bytes wait, %d observations wait, %d were handed over", o.bytes, len(o.pending), handed)
	}
	if !o.flush() || handed != 1000 || o.bytes != 0 {
		t.Errorf("in the end %d were handed over, and %d bytes wait", handed, o.bytes)
	}
}

func TestOrderStopsWhenNoMoreAreWanted(t *testing.T) {
	handed := 0
	o := order{yield: func(advise.Observation) bool { handed++; return false }}
	begun := time.Now()
	for i := range 10 {
		o.add(&placed{Observation: advise.Observation{Begun: begun.Add(time.Duration(i) * time.Hour)}})
	}
	if o.flush() || handed != 1 {
		t.Errorf("%d were handed over", handed)
	}
}

func TestReaderComparesFilesButNotReaders(t *testing.T) {
	reader := New()
	client := func(r *Reader, text string) string {
		for o, err := range r.Read(strings.NewReader(text), nil) {
			if err != nil {
				t.Fatal(err)
			}
			return o.Client
		}
		return ""
	}
	first := client(reader, line(0, "/", ""))
	if second := client(reader, line(9, "/other", "")); first != second {
		t.Error("the same client differs in another file")
	}
	if other := client(reader, strings.Replace(line(0, "/", ""), "192.0.2.1", "192.0.2.2", 1)); first == other {
		t.Error("another address is the same client")
	}
	if other := client(New(), line(0, "/", "")); first == other {
		t.Error("two readers have the same digest")
	}
}
