package traffic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/caddy-parker/parker/internal/advise/redact"
)

const (
	// maxEntry is the length of the longest entry of a HAR file, with its body, that is
	// read. Reading it takes several times as much memory.
	maxEntry = 64 << 20

	// maxDepth limits how deep values may be nested that are passed over.
	maxDepth = 1000
)

var (
	errLongEntry = fmt.Errorf("an entry of the HAR file is longer than %d MiB", maxEntry>>20)
	errDeep      = errors.New("the HAR file is nested too deep")
)

// har reads a HAR 1.2 file, one entry at a time.
func (t *reading) har(source io.Reader) error {
	limited := &limitedReader{source: source}
	file := &harFile{reading: t, limited: limited, decoder: json.NewDecoder(limited), nonce: redact.NewKey()}
	file.decoder.UseNumber() // a number that is out of range is no error where it does not matter
	if err := file.members(func(name string) error {
		if name == "log" {
			return file.members(file.member)
		}
		return file.pass()
	}); err != nil && !errors.Is(err, errStopped) {
		return fmt.Errorf("reading the HAR file: %w", err)
	}
	return nil
}

// errStopped ends the reading when no more observations are wanted.
var errStopped = errors.New("stopped")

// harFile is a HAR file that is being read.
type harFile struct {
	*reading
	limited *limitedReader
	decoder *json.Decoder
	nonce   redact.Key // tells the browser of this file apart from those of others
	firefox bool

	// Chromium saves files without cookies and credentials, unless it is told otherwise, and
	// does not say so.
	chromium    bool
	credentials bool // an entry had some
}

// members calls read for each member of an object. read must consume its value.
func (f *harFile) members(read func(name string) error) error {
	if begin, err := f.decoder.Token(); err != nil {
		return unended(err)
	} else if begin != json.Delim('{') {
		return errors.New("log is not an object")
	}
	for f.decoder.More() {
		f.limited.read = 0
		name, err := f.decoder.Token()
		if err != nil {
			return unended(err)
		}
		if err := read(name.(string)); err != nil {
			return err
		}
	}
	_, err := f.decoder.Token()
	return unended(err)
}

// member reads a member of the object log.
func (f *harFile) member(name string) error {
	switch name {
	case "entries":
		return f.entries()
	case "creator":
		var creator struct {
			Name string `json:"name"`
		}
		if err := f.decode(&creator); err != nil {
			return err
		}
		f.firefox, f.chromium = creator.Name == "Firefox", creator.Name == "WebInspector"
		return nil
	}
	return f.pass()
}

// entries reads the array of entries.
func (f *harFile) entries() error {
	if begin, err := f.decoder.Token(); err != nil {
		return unended(err)
	} else if begin != json.Delim('[') {
		return errors.New("entries is not an array")
	}
	for number := int64(1); f.decoder.More(); number++ {
		f.limited.read = 0
		var entry harEntry
		if err := f.decode(&entry); err != nil {
			return err
		}
		o, why := f.observation(&entry)
		if why == "" {
			why = implausible(&o)
		}
		if why != "" {
			f.skip(number, why)
		} else if !f.take(o, false) {
			return errStopped
		}
	}
	_, err := f.decoder.Token()
	return unended(err)
}

// decode reads a value. Members of it that have another type than expected are left out.
func (f *harFile) decode(value any) error {
	err := f.decoder.Decode(value)
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) {
		return nil
	}
	return unended(err)
}

// pass reads a value that does not matter, without keeping it.
func (f *harFile) pass() error {
	for depth := 0; ; {
		f.limited.read = 0
		token, err := f.decoder.Token()
		if err != nil {
			return unended(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxDepth {
			return errDeep
		}
	}
}

// unended returns the error, where the end of the file is one, too.
func unended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// limitedReader fails if more than maxEntry bytes are read before read is set to 0 again.
type limitedReader struct {
	source io.Reader
	read   int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.read > maxEntry {
		return 0, errLongEntry
	}
	n, err := l.source.Read(p)
	l.read += int64(n)
	return n, err
}
