package eventstream

import (
	"bytes"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/caddy-parker/parker/internal/field"
)

// Text returns a body as the data of an event. contentType is the body's Content-Type
// and may be empty. Event streams are in UTF-8 (WHATWG HTML, section 9.2.5), so a body
// in another charset that browsers know is decoded as in browsers (WHATWG Encoding,
// section 6.1). A byte order mark at the start is removed, because scripts would see it
// as part of the data. A body in an unknown charset is returned unchanged.
func Text(contentType string, body []byte) []byte {
	charset := field.Parameter(contentType, "charset")
	if charset == "" {
		return bytes.TrimPrefix(body, []byte(byteOrderMark))
	}
	known, err := htmlindex.Get(charset)
	switch {
	case err != nil || known == encoding.Replacement:
		return body
	case known == unicode.UTF8:
		return bytes.TrimPrefix(body, []byte(byteOrderMark))
	}
	text, _, err := transform.Bytes(unicode.BOMOverride(known.NewDecoder()), body)
	if err != nil {
		return body
	}
	return text
}
