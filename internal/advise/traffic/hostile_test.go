package traffic

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/advise"
)

// endless repeats a text until so many bytes are read.
type endless struct {
	text string
	left int
	at   int // in the text
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && e.left > 0 {
		m := copy(p[n:min(len(p), n+e.left)], e.text[e.at:])
		n, e.left, e.at = n+m, e.left-m, (e.at+m)%len(e.text)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// allocated returns how many bytes a function allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestReadPassesOverLongLineInLittleMemory(t *testing.T) {
	const length, limit = 1 << 30, 64 << 20
	file := io.MultiReader(&endless{text: strings.Repeat("x", 32<<10), left: length}, strings.NewReader("\n"+line(0, "/after", "")))
	var observations []advise.Observation
	if n := allocated(func() { observations, _ = readFrom(t, file) }); n > limit {
		t.Errorf("%d bytes were allocated for a line of %d", n, length)
	}
	if got := paths(observations); !slices.Equal(got, []string{"/after"}) {
		t.Errorf("read %q", got)
	}
}

// TestReadTakesTimeInProportionToLine looks at what is allocated, which is steadier than the
// time: each of these lines has parts that could be looked at again for each other part.
func TestReadTakesTimeInProportionToLine(t *testing.T) {
	const half = maxLine / 2
	const end = ` - - [30/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 2`
	for name, text := range map[string]string{
		"addresses":      strings.Repeat("a, ", half/3) + "b" + end,
		"brackets":       strings.Repeat(" []", half/3) + end,
		"words":          "a " + strings.Repeat("b ", half/2) + end,
		"columns":        "a" + end + ` "-" "x" ` + strings.Repeat(`"\" `, half/4),
		"escapes":        "a" + end + ` "-" "` + strings.Repeat(`\x41`, half/4) + `"`,
		"tabs":           strings.Repeat("\t", half) + "{}",
		"deep JSON":      strings.Repeat(`{"request":`, half/11),
		"levels":         strings.Repeat(`{"level":`, half/9),
		"header fields":  caddyLine(`"Accept":["application/json"]`, strings.Repeat(`"Accept":["a"],`, half/15)+`"a":[]`),
		"cookies":        caddyLine(`["REDACTED"]`, `["`+strings.Repeat("a=b;", half/4)+`"]`),
		"forwarded":      "a" + end + ` "-" "x" "` + strings.Repeat("1.1.1.1,", half/8) + `1.1.1.1"`,
		"request line":   `a - - [30/Nov/2026:10:00:00 +0000] "GET /` + strings.Repeat(" HTTP/", half/6) + `" 200 2`,
		"escaped quotes": `a - - [30/Nov/2026:10:00:00 +0000] "` + strings.Repeat(`\"`, half/2) + `" 200 2`,
	} {
		t.Run(name, func(t *testing.T) {
			n := allocated(func() {
				for _, err := range New().Read(strings.NewReader(text), nil) {
					if err != nil && !errors.Is(err, errNotUnderstood) {
						t.Error(err)
					}
				}
			})
			if n > 400*half {
				t.Errorf("%d bytes were allocated for a line of %d", n, len(text))
			}
		})
	}
}

// TestReadKeepsNoLineInMemory has requests that wait for older ones, and whose lines are far
// longer than what is kept of them.
func TestReadKeepsNoLineInMemory(t *testing.T) {
	junk := strings.Repeat("x", maxLine/2)
	for name, text := range map[string]string{
		"host":     "example.com a - " + junk + ` [30/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 2`,
		"fragment": line(0, "/#"+junk, ""),
		"protocol": strings.Replace(line(0, "/", ""), "HTTP/1.1", "HTTP/"+junk, 1),
		"Caddy's":  caddyLine("/news?since=1", "/news?since=1#"+junk, "Example.com:443", "example.com"),
	} {
		t.Run(name, func(t *testing.T) {
			const lines, limit = 100, 16 << 20
			held, _ := readFrom(t, &endless{text: strings.TrimSpace(text) + "\n", left: lines * (len(strings.TrimSpace(text)) + 1)})
			runtime.GC()
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			if len(held) != lines || memory.HeapAlloc > limit {
				t.Errorf("%d observations of short requests take %d bytes", len(held), memory.HeapAlloc)
			}
			runtime.KeepAlive(held)
		})
	}
}

func TestReadSkipsImpossibleTimesAndStatuses(t *testing.T) {
	for text, want := range map[string]Why{
		caddyLine("1796032805.25", "-5"):                     Unknown,
		caddyLine("1796032805.25", "1"):                      WrongTime,
		caddyLine("1796032805.25", "99999999999"):            WrongTime,
		caddyLine("1796032805.25", `"9999/11/30 10:00:05"`):  WrongTime,
		strings.Replace(line(0, "/", ""), "2026", "0001", 1): WrongTime,
		strings.Replace(line(0, "/", ""), "2026", "9999", 1): WrongTime,
		caddyLine(`"status":200`, `"status":-200`):           Unknown,
		caddyLine(`"status":200`, `"status":20000`):          Unknown,
	} {
		observations, skipped := readAll(t, strings.TrimSpace(text)+"\n"+line(0, "/", ""))
		if len(observations) != 1 || len(skipped) != 1 || skipped[0] != (Skipped{1, want}) {
			t.Errorf("%s: %d observations, skipped %v", text, len(observations), skipped)
		}
	}
}

func TestReadSortsAfterTimeInTheFuture(t *testing.T) {
	future := strings.Replace(line(0, "/future", " 0.001"), "2026", "2126", 1)
	file := line(5, "/first", " 0.001") + future + line(10, "/quick", " 0.010") + line(30, "/held", " 25.000") + line(31, "/next", " 0.001")
	observations, _ := readAll(t, file)
	if got := paths(observations); !slices.Equal(got, []string{"/first", "/held", "/quick", "/next", "/future"}) {
		t.Errorf("read %q", got)
	}
}

func TestReadSaysThatFileEndsWithinLine(t *testing.T) {
	whole := line(0, "/whole", "")
	cuts := []string{caddyLine()[:300]}
	for end := 40; end < len(whole)-len("\"\n"); end++ {
		cuts = append(cuts, whole[:end])
	}
	for _, cut := range cuts {
		observations, skipped := readAll(t, whole+cut)
		if len(observations) != 1 || !slices.Equal(skipped, []Skipped{{2, CutOff}}) {
			t.Errorf("%s: %d observations, skipped %v", cut, len(observations), skipped)
		}
	}
	// Without an earlier line, nobody knows that more was to come.
	if observations, _ := readAll(t, whole[:strings.Index(whole, ` "-"`)]); len(observations) != 1 {
		t.Errorf("%d observations", len(observations))
	}
}

func TestReadTakesLogAfterZeros(t *testing.T) {
	zeros := strings.Repeat("\x00", 4096)
	observations, skipped := readAll(t, zeros+line(0, "/a", "")+zeros+caddyLine()+zeros+"\r\n"+zeros)
	if got := paths(observations); !slices.Equal(got, []string{"/a", "/news"}) || len(skipped) != 0 {
		t.Errorf("read %q, skipped %v", got, skipped)
	}
}

func TestReadTakesCaddysLogFromCollectors(t *testing.T) {
	for _, prefix := range []string{
		"Nov 30 10:00:05 web caddy[812]: ",
		"caddy-1  | ",
		"2026-11-30T10:00:05.123456789Z stderr F ",
	} {
		observations, skipped := readAll(t, prefix+caddyLine()+"\n")
		if got := paths(observations); !slices.Equal(got, []string{"/news"}) || len(skipped) != 0 {
			t.Errorf("after %q read %q, skipped %v", prefix, got, skipped)
		}
	}
}

func TestReadSaysWhatToDoWithOtherFiles(t *testing.T) {
	for text, want := range map[string]string{
		"\x28\xb5\x2f\xfdrest": "zstd",
		"\xfd7zXZ\x00rest":     "xz",
		"BZh91AY&SY":           "bzip2",
		"PK\x03\x04rest":       "ZIP",
		"\xff\xfe{\x00":        "UTF-16",
		"\xfe\xff\x00{":        "UTF-16",
		`{"time":"2026-11-30T10:00:05+00:00","status":"200"}` + "\n":             "use the format combined",
		"10:00 hello\n10:01 bye\n":                                               "entry 1: it is in no known format",
		`{"level":"info","ts":1796032801,"msg":"serving initial configuration"}`: "it is not about the answer to a request",
	} {
		if observed, err := errorOf(t, strings.NewReader(text)); observed != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d observations, and the error %v", text, observed, err)
		}
	}
}

func TestReadOfHARIsBounded(t *testing.T) {
	entry := harText[strings.Index(harText, `{"started`) : len(harText)-3]
	begin := `{"log":{"entries":[` + entry + ","
	for name, c := range map[string]struct {
		rest io.Reader
		want string
	}{
		"long text":      {&endless{text: strings.Repeat("x", 32<<10), left: 4 * maxEntry}, "longer than 64 MiB"},
		"deep":           {&endless{text: strings.Repeat("[", 32<<10), left: 4 * maxEntry}, "depth"},
		"ends too early": {strings.NewReader(`","request":`), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			observed, err := errorOf(t, io.MultiReader(strings.NewReader(begin+`{"comment":`), map[bool]io.Reader{true: strings.NewReader(""), false: strings.NewReader(`"`)}[name == "deep"], c.rest))
			if observed != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d observations, and the error %v", observed, err)
			}
		})
	}
	deep := strings.Repeat("[", maxDepth+1)
	if observed, err := errorOf(t, strings.NewReader(strings.TrimSuffix(begin, ",")+`],"pages":`+deep)); observed != 1 || !errors.Is(err, errDeep) {
		t.Errorf("%d observations, and the error %v", observed, err)
	}
}

func TestReadTakesColumnsBeforeReferrer(t *testing.T) {
	text := func(agent string) string {
		return fmt.Sprintf(`192.0.2.1 - - [30/Nov/2026:10:00:05 +0000] "GET /news HTTP/1.1" 200 2 1.500 0.100 "https://example.com/" "%s" "203.0.113.9"`, agent)
	}
	observations, skipped := readAll(t, text("a")+"\n"+text("b"))
	if len(observations) != 2 || len(skipped) != 0 {
		t.Fatalf("%d observations, skipped %v", len(observations), skipped)
	}
	if o := observations[0]; o.Took.Milliseconds() != 1500 || o.Client == observations[1].Client {
		t.Errorf("read %+v", observations)
	}
}

func TestReadKeepsNoPasswordBeforeHost(t *testing.T) {
	for name, text := range map[string]string{
		"target":           line(0, "http://mary:topsecret@example.com/news", ""),
		"target with port": line(0, "http://mary:topsecret@example.com:80/news", ""),
		"host":             "mary:topsecret@example.com:80 " + line(0, "/news", ""),
		"Caddy's":          caddyLine("Example.com:443", "mary:topsecret@example.com:443"),
	} {
		observations, _ := readAll(t, text)
		if len(observations) != 1 || observations[0].Host != "example.com" {
			t.Errorf("%s: read %+v", name, observations)
		}
	}
}

func TestErrorOfHARSaysNothingThatIsInIt(t *testing.T) {
	for _, rest := range []string{`"log":"topsecret"`, `"log":["topsecret"]`, `"a":topsecret`, `"log":{"entries":{"topsecret":1}}`, `"log":{"entries":[{"time":1e99topsecret}]}`} {
		observed, err := errorOf(t, strings.NewReader(strings.TrimSuffix(harText, "}")+","+rest+"}"))
		if observed != 1 || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %d observations, and the error %v", rest, observed, err)
		}
	}
}
