package answer

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func held(lines ...string) *Cookies {
	c := new(Cookies)
	for _, line := range lines {
		c.Hold(http.Header{"Set-Cookie": {line}})
	}
	return c
}

func TestCookiesPresentThoseClientWouldHave(t *testing.T) {
	for name, test := range map[string]struct {
		own  []string
		held []string
		want string
	}{
		"a rotated session":           {[]string{"a=1; session=old; b=2"}, []string{"session=new; Path=/; HttpOnly"}, "a=1; session=new; b=2"},
		"rotated twice":               {[]string{"session=1"}, []string{"session=2", "session=3"}, "session=3"},
		"a new one":                   {nil, []string{"session=new"}, "session=new"},
		"two lines":                   {[]string{"a=1", "b=2"}, []string{"c=3"}, "a=1; b=2; c=3"},
		"deleted by Max-Age":          {[]string{"a=1; b=2"}, []string{"a=; Max-Age=0"}, "b=2"},
		"deleted by Expires":          {[]string{"a=1; b=2"}, []string{"a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "b=2"},
		"Max-Age wins":                {nil, []string{"a=1; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, "a=1"},
		"the last is deleted":         {[]string{"a=1"}, []string{"a=; Max-Age=0"}, ""},
		"nothing to delete":           {[]string{"b=2"}, []string{"a=; Max-Age=0"}, "b=2"},
		"of this path":                {nil, []string{"a=1; Path=/rooms"}, "a=1"},
		"of a path below":             {nil, []string{"a=1; Path=/rooms/7/x"}, ""},
		"of a path that looks alike":  {nil, []string{"a=1; Path=/room"}, ""},
		"secure":                      {nil, []string{"a=1; Secure"}, "a=1"},
		"quoted":                      {nil, []string{`a="x y"`}, `a="x y"`},
		"JSON":                        {[]string{`a={"n":1}; b=2`}, []string{`a={"n":2, "t":"ü\"\\"}; Path=/`}, `a={"n":2, "t":"ü\"\\"}; b=2`},
		"JSON, deleted":               {[]string{`a={"n":1}; b=2`}, []string{`a={"n":2}; Max-Age=0`}, "b=2"},
		"JSON, of another path":       {[]string{"a=1"}, []string{`a={"n":2}; Path=/other`}, "a=1"},
		"a date of its own form":      {[]string{"a=1; b=2"}, []string{"a=; Expires=Thursday, 1-Jan-70 0:00:00"}, "b=2"},
		"a control character":         {[]string{"a=1"}, []string{"a=\x01"}, "a=1"},
		"with equals signs":           {nil, []string{"a=b=c=; Path=/"}, "a=b=c="},
		"set, and a variant deleted":  {[]string{"s=0"}, []string{"s=new; Path=/", "s=; Max-Age=0; Domain=.b.example"}, "s=new"},
		"set, and a narrower deleted": {[]string{"s=0"}, []string{"s=new; Path=/", "s=; Max-Age=0; Path=/rooms"}, "s=new"},
		"a domain's deleted":          {[]string{"s=0"}, []string{"s=; Max-Age=0; Domain=.b.example"}, "s=0"},
		"of two paths":                {nil, []string{"s=root; Path=/", "s=rooms; Path=/rooms"}, "s=rooms; s=root"},
		"the wider of two":            {[]string{"s=rooms; s=root"}, []string{"s=new; Path=/"}, "s=rooms; s=new"},
		"the narrower of two":         {[]string{"s=rooms; s=root"}, []string{"s=new; Path=/rooms"}, "s=new; s=root"},
		"not a cookie":                {[]string{"a=1"}, []string{"=;;"}, "a=1"},
		"a name that starts alike":    {[]string{"session2=x"}, []string{"session=y"}, "session2=x; session=y"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(held(test.held...).Present(test.own, "/rooms/7"), "|"); got != test.want {
				t.Errorf("Present = %q, want %q", got, test.want)
			}
		})
	}
}

func TestCookiesGiveHeldUnlessAnswerSetsThem(t *testing.T) {
	for name, test := range map[string]struct {
		held, own, want []string
	}{
		"none":                      {nil, []string{"a=1"}, []string{"a=1"}},
		"held only":                 {[]string{"a=1"}, nil, []string{"a=1"}},
		"both":                      {[]string{"a=1"}, []string{"b=2"}, []string{"a=1", "b=2"}},
		"the answer's own wins":     {[]string{"a=1; Path=/", "b=2"}, []string{"a=3; Path=/"}, []string{"b=2", "a=3; Path=/"}},
		"another path is another":   {[]string{"a=1; Path=/x"}, []string{"a=2; Path=/"}, []string{"a=1; Path=/x", "a=2; Path=/"}},
		"another domain is another": {[]string{"a=1; Domain=x.test"}, []string{"a=2"}, []string{"a=1; Domain=x.test", "a=2"}},
		"domains without their dot": {[]string{"a=1; Domain=.X.test"}, []string{"a=2; Domain=x.test"}, []string{"a=2; Domain=x.test"}},
		"JSON":                      {[]string{`a={"n":1}; Path=/`}, []string{`a={"n":2}; path=/`}, []string{`a={"n":2}; path=/`}},
		"JSON for another path":     {[]string{`a={"n":1}; Path=/x`}, []string{`a={"n":2}; Path=/`}, []string{`a={"n":1}; Path=/x`, `a={"n":2}; Path=/`}},
		"what is no cookie":         {[]string{"first", "second"}, []string{"second"}, []string{"first", "second"}},
		"the same answer again":     {[]string{"a=1"}, []string{"a=1"}, []string{"a=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if test.own != nil {
				header["Set-Cookie"] = test.own
			}
			held(test.held...).Give(header)
			if !slices.Equal(header["Set-Cookie"], test.want) {
				t.Errorf("Set-Cookie = %q, want %q", header["Set-Cookie"], test.want)
			}
		})
	}
}
