package eventstream

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/caddy-parker/parker/internal/field"
)

func TestTextConvertsToUTF8(t *testing.T) {
	for _, test := range []struct{ contentType, body, want string }{
		{"", "Zürich", "Zürich"},
		{"", "\uFEFF{}", "{}"},
		{"application/json", "\uFEFF{}", "{}"},
		{"application/json", "{}\uFEFF", "{}\uFEFF"},
		{"text/plain; charset=utf-8", "\uFEFFZürich", "Zürich"},
		{"text/plain; charset=UTF8", "\uFEFF\uFEFFx", "\uFEFFx"},
		{"text/plain; charset=utf-8", "\uFEFF", ""},
		{"text/plain;charset=ISO-8859-1", "Z\xfcrich", "Zürich"},
		{`text/plain; a="charset=utf-8"; Charset="latin1"`, "Z\xfcrich \x80", "Zürich €"},
		{"text/plain; charset=iso-8859-1", "\uFEFFZürich", "Zürich"},
		{"text/plain; charset=windows-1251", "\xcc\xe8\xf0", "Мир"},
		{"text/plain; charset=Shift_JIS", "\x93\xfa\x96\x7b", "日本"},
		{"text/plain; charset=gb18030", "\xc4\xe3\xba\xc3", "你好"},
		{"text/plain; charset=euc-kr", "\xc7\xd1", "한"},
		{"text/plain; charset=utf-16", "\xff\xfeZ\x00\xfc\x00", "Zü"},
		{"text/plain; charset=utf-16", "\xfe\xff\x00Z\x00\xfc", "Zü"},
		{"text/plain; charset=utf-16be", "\xfe\xff\x00Z\x00\xfc", "Zü"},
		{"text/plain; charset=utf-16be", "\x00Z\x00\xfc", "Zü"},
		{"text/plain; charset=utf-16le", "Z\x00\xfc\x00", "Zü"},
		{"text/plain; charset=us-ascii", "plain", "plain"},
		{"text/plain; charset=utf-7", "+AGE-", "+AGE-"},
		{"text/plain; charset=utf-7", "\uFEFFx", "\uFEFFx"},
		{"text/plain; charset=iso-2022-kr", "\x1b$)C", "\x1b$)C"},
		{"text/plain; charset=", "Z\xfcrich", "Z\xfcrich"},
		{"image/png", "\x89PNG", "\x89PNG"},
	} {
		if got := Text(test.contentType, []byte(test.body)); string(got) != test.want {
			t.Errorf("%q, %q: %q, want %q", test.contentType, test.body, got, test.want)
		}
	}
}

// FuzzText checks that the result is valid UTF-8 and that the body, which is shared, is
// not modified.
func FuzzText(f *testing.F) {
	f.Add("text/plain; charset=utf-16", []byte("\xff\xfeZ\x00\xfc"))
	f.Add("text/plain; charset=iso-2022-jp", []byte("\x1b$B"))
	f.Add("text/plain; charset=gb18030", []byte("\x81\x30"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		before := string(body)
		text := Text(contentType, body)
		if string(body) != before {
			t.Fatalf("%q, %q: the body was changed", contentType, body)
		}
		known, err := htmlindex.Get(field.Parameter(contentType, "charset"))
		if err == nil && known != encoding.Replacement && known != unicode.UTF8 && !utf8.Valid(text) {
			t.Fatalf("%q, %q: %q is not in UTF-8", contentType, body, text)
		}
	})
}
