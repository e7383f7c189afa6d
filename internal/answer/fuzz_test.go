package answer

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzCookies checks that each Set-Cookie field adds at most one pair to a request's Cookie
// field, and that an answer gets no other fields than those.
func FuzzCookies(f *testing.F) {
	f.Add("a=1; b=2", "session=new; Path=/; HttpOnly", "session=; Max-Age=0", "/rooms/7")
	f.Add("", `a="x y; z"; Path=/rooms`, "a=b=c=; Domain=.X.test", "/")
	f.Add(";;=", "=;;", "a", "")
	f.Add("a=1", "a=2, b=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "A=1; Secure", "/a")
	f.Add("a=1", "a=\x01\"; Path=\xff", "ü=1; Max-Age=99999999999999999999", "/\xff")
	f.Add(`a={"n":1}`, `a={"n":2, "t":"ü\"\\"}; Path=/`, "a b=c; Expires=1-Jan-70 0:0:0", "/a")
	f.Add("0", "session=new; Path=/; HttpOnly", "session=P Max-Age=0", "/rooms/7")
	f.Fuzz(func(t *testing.T, own, first, second, path string) {
		if strings.ContainsAny(own+first+second, "\r\n\x00") {
			t.Skip("no field holds these")
		}
		c := new(Cookies)
		c.Hold(http.Header{"Set-Cookie": {first, second}})
		if n := len(c.lines); n == 0 || n > 2 || !slices.Contains(c.lines, second) {
			t.Fatalf("%q and %q: held %q", first, second, c.lines)
		}

		answer := http.Header{"Set-Cookie": {second}}
		c.Give(answer)
		for _, line := range answer["Set-Cookie"] {
			if line != first && line != second {
				t.Fatalf("%q and %q: the answer sets %q", first, second, line)
			}
		}
		if n := len(answer["Set-Cookie"]); answer["Set-Cookie"][n-1] != second || n != len(c.lines) {
			t.Fatalf("%q and %q: the answer sets %q", first, second, answer["Set-Cookie"])
		}

		fields := c.Present([]string{own}, path)
		if len(fields) > 1 {
			t.Fatalf("%d fields: %q", len(fields), fields)
		}
		pairs := strings.Split(strings.Join(fields, ""), "; ")
		if before := strings.Count(own, ";") + 1; len(pairs) > before+2 {
			t.Fatalf("%q with %q and %q became %q", own, first, second, pairs)
		}
		for pair := range strings.SplitSeq(own, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !slices.Contains(pairs, pair) && !names(first, name) && !names(second, name) && !strings.Contains(pair, "; ") {
				t.Fatalf("%q with %q and %q lost %q: %q", own, first, second, pair, pairs)
			}
		}
		if again := c.Present(fields, path); !slices.Equal(again, fields) {
			t.Fatalf("%q with %q and %q: %q became %q", own, first, second, fields, again)
		}
	})
}

// names reports whether a Set-Cookie field is for the cookie of this name.
func names(line, name string) bool {
	cookie, ok := parseSetCookie(line)
	return ok && cookie.name == name
}
