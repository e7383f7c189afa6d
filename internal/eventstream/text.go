package eventstream

import (
	"bytes"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/caddy-parker/parker/internal/field"
)

// Text is what an event can say of a body with this Content-Type, which may be empty. A
// stream is in UTF-8 (WHATWG HTML, section 9.2.5): a body in another charset that
// browsers know is decoded as they do (WHATWG Encoding, section 6.1), and a byte order
// mark at its start, which to scripts would be a part of the data, is left out. A body
// in a charset that is not known is returned as it is.
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
