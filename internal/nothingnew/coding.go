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

// maxCodings limits the work for a body that is encoded many times.
const maxCodings = 4

var (
	errTooManyCodings = errors.New("the body has too many content codings")
	errTooLong        = errors.New("the decoded body is too long")
	errTrailingData   = errors.New("unexpected data after the end of the encoded body")
)

// decoders contains a decoder for each content coding (RFC 9110, 8.4.1; RFC 7932;
// RFC 8878). Each returns an error if there are more than limit decoded bytes.
var decoders = map[string]func(encoded []byte, limit int64) ([]byte, error){
	"gzip":    gunzip,
	"x-gzip":  gunzip,
	"deflate": inflate,
	"br":      unbrotli,
	"zstd":    unzstd,
}

// codings returns the names of the content codings in the order in which they were
// applied, in lower case and without identity.
func codings(header http.Header) []string {
	names := field.List(header["Content-Encoding"])
	for i, name := range names {
		names[i] = strings.ToLower(name)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "identity" })
}

// decodable reports whether all of these codings can be decoded.
func decodable(names []string) bool {
	return len(names) <= maxCodings && !slices.ContainsFunc(names, func(name string) bool { return decoders[name] == nil })
}

// Decode returns the body without its content codings. It returns an error if a step
// gives more than limit bytes, or if a coding is unknown. An empty body is decoded as
// empty in every known coding.
func Decode(header http.Header, body []byte, limit int64) ([]byte, error) {
	names := codings(header)
	if len(names) > maxCodings {
		return nil, errTooManyCodings
	}
	for _, name := range slices.Backward(names) {
		undo := decoders[name]
		if undo == nil {
			return nil, fmt.Errorf("unknown content coding %q", name)
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

// gzipReaders keeps readers for reuse, because each takes about 40 KB.
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

// inflate decodes the zlib format. It also accepts the raw deflate format, which some
// servers send by mistake (RFC 9110, 8.4.1.2).
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
	// maxWindow is the largest window that a server may use (RFC 9659). It is not
	// allocated, because the decoder uses the decoded body as the window.
	maxWindow = 8 << 20

	// usualBody is the first size that unzstd tries for a decoded body.
	usualBody = 4 << 10
)

// zstdDecoders keeps decoders for reuse. They decode only whole bodies, and so have no
// goroutines that must be stopped.
var zstdDecoders = sync.Pool{New: func() any {
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // only if the options above are invalid
	}
	return decoder
}}

// unzstd tries a small buffer first, because the decoder does not grow the buffer that
// it is given. A buffer that is too small can give several errors, so after any error it
// tries again with a larger buffer.
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

// brotliReaders keeps readers for reuse, because each takes about 60 KB.
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

// withSmallWindow returns the first byte of a brotli stream with a smaller window size,
// if the window is larger than the limit of the decoded size. Otherwise the decoder would
// allocate the whole window, up to 16 MB. References cannot point before the first
// decoded byte, so a window of the limit's size is always sufficient. Window sizes from
// 2^18 to 2^24 are encoded in four bits (RFC 7932, 9.1). Smaller ones are not changed.
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
