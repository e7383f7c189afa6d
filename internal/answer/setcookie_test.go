package answer

import (
	"testing"
	"time"
)

func TestParseSetCookieReadsAsBrowsersDo(t *testing.T) {
	for line, want := range map[string]setCookie{
		"a=1":                                {name: "a", value: "1"},
		"a=":                                 {name: "a"},
		" a \t= 1 2 ; Path=/x":               {name: "a", value: "1 2", path: "/x"},
		`a={"user":"ü","q":[1, 2]}; path=/x`: {name: "a", value: `{"user":"ü","q":[1, 2]}`, path: "/x"},
		`a="1;2"`:                            {name: "a", value: `"1`},
		`a=b\c"d,e`:                          {name: "a", value: `b\c"d,e`},
		"a b=1":                              {name: "a b", value: "1"},
		"a=\xff":                             {name: "a", value: "\xff"},
		"a=b=c":                              {name: "a", value: "b=c"},
		"a=1; Path=x; HttpOnly;;":            {name: "a", value: "1"},
		"a=1; Path=/x; Path=":                {name: "a", value: "1"},
		"a=1; PATH = /y ; Domain=.X.Test":    {name: "a", value: "1", path: "/y", domain: "x.test"},
		"a=1; Domain=x.test; Domain":         {name: "a", value: "1", domain: "x.test"},
		"a=1; Max-Age=5; Max-Age=soon":       {name: "a", value: "1", maxAge: 5, hasMaxAge: true},
		"a=1; Max-Age=-5":                    {name: "a", value: "1", maxAge: -5, hasMaxAge: true},
		"a=1; Max-Age=+5; Max-Age=-":         {name: "a", value: "1"},
		"a=1; Max-Age=99999999999999999999":  {name: "a", value: "1", maxAge: 1<<63 - 1, hasMaxAge: true},
		"a=1; Expires=tomorrow":              {name: "a", value: "1"},
	} {
		if got, ok := parseSetCookie(line); !ok || got != want {
			t.Errorf("%q is read as %+v, %t, want %+v", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "a", "=1", " =1", "; a=1", "a;b=1", "a=\x01", "a=1; Path=/\x7f"} {
		if got, ok := parseSetCookie(line); ok {
			t.Errorf("%q is read as %+v", line, got)
		}
	}
}

func TestParseCookieDateReadsAsBrowsersDo(t *testing.T) {
	want := time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)
	for _, text := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 6-nov-1994 8:49:37",
		"1994 November 6th 8:49:37.5", "(08:49:37) 6/NOV/94",
	} {
		if date, ok := parseCookieDate(text); !ok || !date.Equal(want) {
			t.Errorf("%q is read as %s, %t", text, date, ok)
		}
	}
	for text, year := range map[string]int{"1 Jan 69 00:00:00": 2069, "1 Jan 70 00:00:00": 1970, "29 Feb 2028 00:00:00": 2028} {
		if date, ok := parseCookieDate(text); !ok || date.Year() != year {
			t.Errorf("%q is read as %s, %t", text, date, ok)
		}
	}
	for _, text := range []string{
		"", "0", "06 Nov 1994", "06 Nov 1994 08:49", "06 Nov 1994 24:00:00", "06 Nov 1994 00:60:00", "06 Nov 1994 00:00:60", "30 Feb 1994 00:00:00",
		"0 Nov 1994 00:00:00", "06 Nov 1600 00:00:00", "06 Not 1994 08:49:37", "06 Nov 19940 08:49:37",
	} {
		if date, ok := parseCookieDate(text); ok {
			t.Errorf("%q is read as %s", text, date)
		}
	}
}
