package nothingnew

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// encoders apply the content codings that are understood.
var encoders = map[string]func([]byte) []byte{
	"identity": func(text []byte) []byte { return text },
	"gzip":     compress(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
	"X-GZIP":   compress(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
	"deflate":  compress(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
	"zstd":     compress(func(w io.Writer) io.WriteCloser { return newZstdWriter(w) }),
	"br":       compress(func(w io.Writer) io.WriteCloser { return newBrotliWriter(w) }),
}

func bareDeflate(text []byte) []byte {
	return compress(func(w io.Writer) io.WriteCloser {
		writer, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			panic(err)
		}
		return writer
	})(text)
}

func newZstdWriter(w io.Writer) *zstd.Encoder {
	writer, err := zstd.NewWriter(w, zstd.WithWindowSize(maxWindow), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	return writer
}

// newBrotliWriter uses the largest window that there is.
func newBrotliWriter(w io.Writer) *brotli.Writer {
	return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 5, LGWin: 24})
}

func compress(newWriter func(io.Writer) io.WriteCloser) func([]byte) []byte {
	return func(text []byte) []byte {
		var encoded bytes.Buffer
		writer := newWriter(&encoded)
		if _, err := writer.Write(text); err != nil {
			panic(err)
		}
		if err := writer.Close(); err != nil {
			panic(err)
		}
		return encoded.Bytes()
	}
}

func encoding(names ...string) http.Header {
	return http.Header{"Content-Encoding": names}
}

func TestRulesDecodeEncodedBodies(t *testing.T) {
	rules := provisioned(t, &Rules{
		Body:  []string{"", "[]"},
		JSON:  []JSONRule{{Pointer: "/messages"}},
		Match: []string{"^nothing"},
	})
	check := func(names []string, encode func([]byte) []byte) {
		t.Helper()
		for text, want := range map[string]bool{
			"": true, " []\n": true, `{"messages":[]}`: true, "nothing": true,
			"[1]": false, `{"messages":[1]}`: false, strings.Repeat(" ", testMaxBody): true,
			strings.Repeat(" ", testMaxBody+1): false,
		} {
			if got := met(t, rules, nil, 200, encoding(names...), encode([]byte(text))); got != want {
				t.Errorf("%q: %.20q: got %t", names, text, got)
			}
		}
	}
	for name, encode := range encoders {
		check([]string{name}, encode)
		check([]string{"identity, " + name}, encode)
		if !met(t, rules, nil, 200, encoding(name), nil) {
			t.Errorf("no bytes at all in %s were taken for news", name)
		}
	}
	check([]string{"deflate"}, bareDeflate)
	check([]string{"gzip, zstd", "br, deflate"}, func(text []byte) []byte {
		return encoders["deflate"](encoders["br"](encoders["zstd"](encoders["gzip"](text))))
	})
}

func TestRulesTakeUndecodableBodyForNews(t *testing.T) {
	rules := provisioned(t, &Rules{Body: []string{"", "[]"}, Match: []string{"."}})
	if rules.Possible(200, encoding("x-lzw"), nil) {
		t.Error("an unknown coding is not known for news at the header")
	}
	gzipped := encoders["gzip"]([]byte("[]"))
	nested := []byte("[]")
	for range maxCodings + 1 {
		nested = encoders["gzip"](nested)
	}
	for _, test := range []struct {
		header http.Header
		body   []byte
	}{
		{encoding("x-lzw"), []byte("[]")},
		{encoding("x-lzw"), nil},
		{encoding("x-lzw, gzip"), gzipped},
		{encoding("gzip", "x-lzw"), gzipped},
		{encoding("gzip"), []byte("[]")},
		{encoding("br"), []byte("[]")},
		{encoding("gzip, gzip"), gzipped},
		{encoding(slices.Repeat([]string{"gzip"}, maxCodings+1)...), nested},
	} {
		if met(t, rules, nil, 200, test.header, test.body) {
			t.Errorf("%v %q was taken for nothing new", test.header, test.body)
		}
	}

	for _, name := range []string{"gzip", "deflate", "zstd", "br"} {
		for _, text := range []string{"[]", ""} {
			whole := encoders[name]([]byte(text))
			for n := 1; n < len(whole); n++ {
				if met(t, rules, nil, 200, encoding(name), whole[:n]) {
					t.Errorf("%q in %s, cut off after %d of %d bytes, was taken for nothing new", text, name, n, len(whole))
				}
			}
			if met(t, rules, nil, 200, encoding(name), append(whole, 'x')) {
				t.Errorf("%q in %s with something after it was taken for nothing new", text, name)
			}
		}
	}
}

func TestDecodeStopsAtDecompressionBomb(t *testing.T) {
	rules := provisioned(t, &Rules{Body: []string{""}, Match: []string{"."}, Unchanged: new(Unchanged)})
	blank := bytes.Repeat([]byte(" "), 8<<20)
	for name, bomb := range map[string][]byte{
		"gzip":    encoders["gzip"](blank),
		"deflate": encoders["deflate"](blank),
		"zstd":    encoders["zstd"](blank),
		"br":      encoders["br"](blank),
	} {
		if len(bomb) > testMaxBody {
			t.Fatalf("the %s bomb has %d bytes", name, len(bomb))
		}
		used := allocated(func() {
			if rules.Met(nil, 200, encoding(name), bomb) {
				t.Errorf("a %s bomb was taken for nothing new", name)
			}
			rules.Tag(200, encoding(name), bomb)
		})
		if used > 2<<20 {
			t.Errorf("a %s bomb took %d bytes of memory", name, used)
		}
	}
}

func TestDecodeLimitsWindow(t *testing.T) {
	rules := provisioned(t, Default())
	// Only a writer that flushes early keeps its large window for a small body.
	body := compress(func(w io.Writer) io.WriteCloser {
		writer := newZstdWriter(w)
		if _, err := writer.Write([]byte("[")); err != nil {
			t.Fatal(err)
		}
		if err := writer.Flush(); err != nil {
			t.Fatal(err)
		}
		return writer
	})([]byte("]"))
	var header zstd.Header
	if err := header.Decode(body); err != nil || header.WindowSize != maxWindow {
		t.Fatalf("the window is %d bytes, %v", header.WindowSize, err)
	}
	used := allocated(func() {
		if !rules.Met(nil, 200, encoding("zstd"), body) {
			t.Error("it was taken for news")
		}
	})
	if used > 1<<20 {
		t.Errorf("it took %d bytes of memory", used)
	}
}

// The size of the window only says how far back a decoder must remember: what is longer
// than the limit is an error anyway.
func TestDecodeReadsSmallerBrotliWindow(t *testing.T) {
	text := make([]byte, 1<<19) // random, and the first quarter of what is used of it once more at its end
	source := rand.NewChaCha8([32]byte{7})
	for _, size := range []int{1, 1 << 19} {
		source.Read(text[:size])
		copy(text[size-size/4:size], text)
		for _, bits := range []int{10, 17, 18, 24} {
			encoded := compress(func(w io.Writer) io.WriteCloser {
				return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 5, LGWin: bits})
			})(text[:size])
			for _, limit := range []int64{int64(size), 1 << 30} {
				if decoded, err := unbrotli(encoded, limit); err != nil || !bytes.Equal(decoded, text[:size]) {
					t.Errorf("window 2^%d, %d bytes, limit %d: %d bytes, %v", bits, size, limit, len(decoded), err)
				}
			}
			if _, err := unbrotli(encoded, int64(size)-1); err != errTooLong {
				t.Errorf("window 2^%d, %d bytes, one too long: %v", bits, size, err)
			}
		}
	}
}

// allocated is how many bytes do allocates, those of others at the same time
// included.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
