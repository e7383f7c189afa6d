package nothingnew

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// encoders apply the content codings that are understood.
var encoders = map[string]func([]byte) []byte{
	"identity": func(text []byte) []byte { return text },
	"gzip":     compress(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
	"X-GZIP":   compress(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
	"deflate":  compress(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
	"zstd":     compress(func(w io.Writer) io.WriteCloser { return newZstdWriter(w) }),
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

func TestEncodedBodiesAreLookedInto(t *testing.T) {
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
	check([]string{"gzip, zstd", "deflate"}, func(text []byte) []byte {
		return encoders["deflate"](encoders["zstd"](encoders["gzip"](text)))
	})
}

func TestWhatCannotBeDecodedIsNews(t *testing.T) {
	rules := provisioned(t, &Rules{Body: []string{"", "[]"}, Match: []string{"."}})
	if rules.Possible(200, encoding("br"), nil) {
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
		{encoding("br"), []byte("[]")},
		{encoding("br"), nil},
		{encoding("br, gzip"), gzipped},
		{encoding("gzip", "br"), gzipped},
		{encoding("gzip"), []byte("[]")},
		{encoding("gzip, gzip"), gzipped},
		{encoding(slices.Repeat([]string{"gzip"}, maxCodings+1)...), nested},
	} {
		if met(t, rules, nil, 200, test.header, test.body) {
			t.Errorf("%v %q was taken for nothing new", test.header, test.body)
		}
	}

	encoders := map[string]func([]byte) []byte{
		"gzip": encoders["gzip"], "deflate": encoders["deflate"], "zstd": encoders["zstd"],
	}
	for name, encode := range encoders {
		whole := encode([]byte("[]"))
		for n := 1; n < len(whole); n++ {
			if met(t, rules, nil, 200, encoding(name), whole[:n]) {
				t.Errorf("%s cut off after %d of %d bytes was taken for nothing new", name, n, len(whole))
			}
		}
		if met(t, rules, nil, 200, encoding(name), append(whole, 'x')) {
			t.Errorf("%s with something after it was taken for nothing new", name)
		}
	}
}

func TestADecompressionBombCostsNothing(t *testing.T) {
	rules := provisioned(t, &Rules{Body: []string{""}, Match: []string{"."}, Unchanged: new(Unchanged)})
	blank := bytes.Repeat([]byte(" "), 8<<20)
	for name, bomb := range map[string][]byte{
		"gzip":    encoders["gzip"](blank),
		"deflate": encoders["deflate"](blank),
		"zstd":    encoders["zstd"](blank),
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

func TestALargeWindowCostsNothing(t *testing.T) {
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

// allocated is how many bytes do allocates, those of others at the same time
// included.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
