package nothingnew

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-parker/parker/internal/field"
)

// maxCodings bounds the work that a body encoded over and over can cost.
const maxCodings = 4

var (
	errTooManyCodings = errors.New("the body has too many content codings")
	errTooLong        = errors.New("the decoded body is too long")
	errTrailingData   = errors.New("there is data after the end of the encoded body")
)

// decoders undo the content codings (RFC 9110, 8.4.1; RFC 7932; RFC 8878). Each returns
// the decoded bytes, at most limit of them, or an error.
var decoders = map[string]func(encoded []byte, limit int64) ([]byte, error){
	"gzip":    gunzip,
	"x-gzip":  gunzip,
	"deflate": inflate,
	"br":      unbrotli,
	"zstd":    unzstd,
}

// codings is the names of the content codings in the order in which they were
// applied, in lower case.
func codings(header http.Header) []string {
	names := field.List(header["Content-Encoding"])
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "identity" })
}

// decodable reports whether all of these codings can be undone.
func decodable(names []string) bool {
	return len(names) <= maxCodings && !slices.ContainsFunc(names, func(name string) bool { return decoders[name] == nil })
}

// Decode undoes the body's content codings. No step may give more than limit
// bytes. An empty body is empty in any coding that is known.
func Decode(header http.Header, body []byte, limit int64) ([]byte, error) {
	names := codings(header)
	if len(names) > maxCodings {
		return nil, errTooManyCodings
	}
	for _, name := range slices.Backward(names) {
		undo := decoders[name]
		if undo == nil {
			return nil, fmt.Errorf("the content coding %q is unknown", name)
		}
		if len(body) == 0 {
			continue
		}
		var err error
		if body, err = undo(body, limit); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", name, err)
		}
	}
	return body, nil
}

// gzipReaders keeps readers for reuse, as each holds some 40 KB.
var gzipReaders sync.Pool

func gunzip(encoded []byte, limit int64) ([]byte, error) {
	reader, ok := gzipReaders.Get().(*gzip.Reader)
	if !ok {
		reader = new(gzip.Reader)
	}
	defer gzipReaders.Put(reader)
	if err := reader.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, err
	}
	return readAll(reader, limit)
}

// inflate decodes the zlib format, and the bare deflate format that some senders
// mistake for it (RFC 9110, 8.4.1.2).
func inflate(encoded []byte, limit int64) ([]byte, error) {
	source := bytes.NewReader(encoded)
	reader, err := zlib.NewReader(source)
	if errors.Is(err, zlib.ErrHeader) {
		source.Reset(encoded)
		reader, err = flate.NewReader(source), nil
	}
	if err != nil {
		return nil, err
	}
	decoded, err := readAll(reader, limit)
	if err == nil && source.Len() > 0 {
		err = errTrailingData
	}
	return decoded, err
}

func readAll(reader io.Reader, limit int64) ([]byte, error) {
	limit = min(limit, math.MaxInt64-1)
	decoded, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err == nil && int64(len(decoded)) > limit {
		err = errTooLong
	}
	return decoded, err
}

const (
	// The largest window that a sender may use (RFC 9659). Nothing of that size
	// is allocated: the decoded body is its own window.
	maxWindow = 8 << 20

	// What a decoded body is expected to fit in.
	usualBody = 4 << 10
)

// zstdDecoders keeps decoders for reuse. They decode whole bodies only, and so
// own no goroutine that would have to end.
var zstdDecoders = sync.Pool{New: func() any {
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options above are wrong
	}
	return decoder
}}

// unzstd tries with a small buffer first, as the decoder fills what it is given
// and never grows it. Too small a buffer has more than one error, so that each
// is tried again with a larger one.
func unzstd(encoded []byte, limit int64) ([]byte, error) {
	decoder := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(decoder)
	for size := min(limit, usualBody); ; size = min(limit, 8*size) {
		decoded, err := decoder.DecodeAll(encoded, make([]byte, 0, size))
		if err == nil || size == limit {
			return decoded, err
		}
	}
}

// brotliReaders keeps readers for reuse, as each holds some 60 KB.
var brotliReaders sync.Pool

func unbrotli(encoded []byte, limit int64) ([]byte, error) {
	reader, ok := brotliReaders.Get().(*brotli.Reader)
	if !ok {
		reader = brotli.NewReader(nil)
	}
	defer brotliReaders.Put(reader)
	head := []byte{withSmallWindow(encoded[0], limit)}
	if err := reader.Reset(io.MultiReader(bytes.NewReader(head), bytes.NewReader(encoded[1:]))); err != nil {
		return nil, err
	}
	return readAll(reader, limit)
}

// withSmallWindow is the first byte of a brotli stream, with the window that it asks for
// made smaller where it is larger than what may be decoded: the decoder would allocate
// all of it, up to 16 MB. Nothing can point further back than to the first decoded byte,
// so up to the limit the window's size makes no difference. Sizes from 2^18 to 2^24 are
// four bits, and none of those is smaller than 256 KB (RFC 7932, 9.1).
func withSmallWindow(first byte, limit int64) byte {
	const least = 18
	if first&1 == 0 || first&0b1110 == 0 {
		return first // 2^17 or less
	}
	given := least - 1 + first>>1&0b111
	for bits := byte(least); bits < given; bits++ {
		if int64(1)<<bits-16 > limit {
			return first&^0b1110 | (bits-least+1)<<1
		}
	}
	return first
}
