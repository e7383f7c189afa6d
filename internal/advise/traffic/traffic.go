// Package traffic reads recorded traffic for package advise: the JSON access logs of Caddy,
// the common and combined formats of nginx and Apache, and HAR files saved from a browser.
//
// A file may be compressed with gzip. Its kind is recognised by its content, and so is that
// of each line, because a log may contain lines of several formats.
//
// What a log says of a request differs:
//   - Only a HAR file has bodies.
//   - The common and combined formats have no header fields, the time in full seconds, and
//     the host only if it is the first column. The requests of one second are spaced evenly
//     over it. How long the answer took is read from a column after the User-Agent: a decimal
//     number is nginx's $request_time in seconds, a single integer is Apache's %D in
//     microseconds.
//   - Caddy writes REDACTED for the values of Cookie, Set-Cookie and Authorization, unless its
//     option log_credentials is set. Durations are read in each of its formats: seconds have a
//     decimal point, and integers are nanoseconds, or milliseconds after one below 10,000.
package traffic

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/redact"
)

// MaxBody is the length in bytes up to which bodies are kept. Of a longer one of an answer
// only the digest and the length are known, and of a request nothing.
const MaxBody = 64 << 10

// Why says why a line of a log, or an entry of a HAR file, gives no observation.
type Why string

// The reasons to skip a line or an entry.
const (
	Unknown    Why = "it is in no known format"
	OtherJSON  Why = "it is JSON, but not an entry of Caddy's access log. For nginx, use the format combined"
	CutOff     Why = "the file ends within it"
	WrongTime  Why = "its time is before 1990 or after 2200"
	TooLong    Why = "it is longer than 1 MiB"
	NotAccess  Why = "it is not about the answer to a request"
	NotRequest Why = "it has no HTTP request"
	NotHTTP    Why = "its URL is not for HTTP"
	FromCache  Why = "the browser's cache has answered it"
	FromWorker Why = "a service worker has answered it"
	NotSent    Why = "the browser has not sent it"
)

// Skipped is a line or an entry that gives no observation.
type Skipped struct {
	Number int64 // of the line in a log, or of the entry in a HAR file, from 1
	Why    Why
}

// Reader reads recorded traffic. Observations from all files of one Reader can be compared:
// the same client, cookie or body has the same digest.
type Reader struct {
	key redact.Key
}

// New returns a Reader with a random key for its digests.
func New() *Reader { return &Reader{key: redact.NewKey()} }

// Read returns the observations of one file. They are in order of Begun, except those of
// requests that took longer than 5 minutes, and of logs that are not in order themselves:
// these come late. Memory is bounded, however long the file is.
//
// skipped is called for each line or entry that gives no observation. An error comes last,
// after all observations: that the file cannot be read, or that none of it was understood.
func (r *Reader) Read(file io.Reader, skipped func(Skipped)) iter.Seq2[advise.Observation, error] {
	return func(yield func(advise.Observation, error) bool) {
		t := &reading{key: r.key, skipped: skipped}
		t.order.yield = func(o advise.Observation) bool { return yield(o, nil) }
		err := t.read(file)
		if !t.endStep() || !t.order.flush() {
			return
		}
		if err == nil && !t.understood {
			err = errNotUnderstood
			if t.first.Why != "" {
				err = fmt.Errorf("%w. Line or entry %d: %s", err, t.first.Number, t.first.Why)
			}
		}
		if err != nil {
			yield(advise.Observation{}, err)
		}
	}
}

var errNotUnderstood = errors.New("nothing in the file is understood: expected an access log of Caddy (JSON), nginx or Apache (combined or common format), or a HAR file with entries")

// reading is the state of reading one file.
type reading struct {
	key        redact.Key
	skipped    func(Skipped)
	spread     spread
	order      order
	understood bool // there was at least one request
	first      Skipped

	clock        clock // of logs in the combined format
	agents       bool  // the line before in the combined format has the User-Agent
	milliseconds bool  // durations in Caddy's log are in milliseconds
}

// take hands over an observation, and reports whether more are wanted.
func (t *reading) take(o advise.Observation, ended bool) bool {
	t.understood = true
	next := &placed{Observation: o, ended: ended}
	if o.Step > 0 {
		return t.space(next)
	}
	return t.place(next)
}

// place puts an observation in its place by its beginning, and reports whether more are
// wanted.
func (t *reading) place(next *placed) bool {
	if next.ended {
		next.Begun = next.Begun.Add(-next.Took)
	}
	return t.order.add(next)
}

func (t *reading) skip(number int64, why Why) {
	if t.first.Why == "" {
		t.first = Skipped{Number: number, Why: why}
	}
	if t.skipped != nil {
		t.skipped(Skipped{Number: number, Why: why})
	}
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	gzipMagic     = []byte{0x1f, 0x8b}
	harBegin      = regexp.MustCompile(`^\s*\{\s*"log"\s*:\s*\{`)
)

// read recognises the kind of the file and reads it.
func (t *reading) read(file io.Reader) error {
	source := bufio.NewReaderSize(file, 64<<10)
	if head, _ := source.Peek(len(gzipMagic)); bytes.Equal(head, gzipMagic) {
		unzipped, err := gzip.NewReader(source)
		if err != nil {
			return fmt.Errorf("reading gzip: %w", err)
		}
		source = bufio.NewReaderSize(unzipped, 64<<10)
	}
	if err := foreign(source); err != nil {
		return err
	}
	if head, _ := source.Peek(len(byteOrderMark)); bytes.Equal(head, byteOrderMark) {
		source.Discard(len(byteOrderMark))
	}
	if head, _ := source.Peek(1 << 10); harBegin.Match(head) {
		return t.har(source)
	}
	return t.lines(source)
}

// foreignMagic are the beginnings of files that logs may be in, but that are not read.
var foreignMagic = map[string]string{
	"\x28\xb5\x2f\xfd": "the file is compressed with zstd: decompress it first",
	"\xfd7zXZ":         "the file is compressed with xz: decompress it first",
	"BZh":              "the file is compressed with bzip2: decompress it first",
	"PK\x03\x04":       "the file is a ZIP archive: extract it first",
	"\xff\xfe":         "the file is in UTF-16, which PowerShell writes: convert it to UTF-8 first",
	"\xfe\xff":         "the file is in UTF-16: convert it to UTF-8 first",
}

// foreign returns an error that says how to make the file readable, if it is of a kind that
// is not read.
func foreign(source *bufio.Reader) error {
	for magic, message := range foreignMagic {
		if head, _ := source.Peek(len(magic)); string(head) == magic {
			return errors.New(message)
		}
	}
	return nil
}
