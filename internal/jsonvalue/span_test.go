package jsonvalue

import "testing"

func TestPointerSpanFindsOneValue(t *testing.T) {
	for _, test := range []struct{ pointer, document, want string }{
		{"", ` {"id":1}`, `{"id":1}`},
		{"/id", `{"id":1}`, "1"},
		{"/id", `{ "a" : [1, {"id":2}] , "id" : -1.5e3 , "b" : null}`, "-1.5e3"},
		{"/id", `{"id": "a\"}b" }`, `"a\"}b"`},
		{"/id", `{"\u0069d": {"x":1}}`, `{"x":1}`},
		{"/a/id", `{"id":0,"a":{"id":1,"b":2},"c":3}`, "1"},
		{"/a~1b", `{"a/b":true}`, "true"},
		{"/id", `{"id":1,"id":1}`, ""},
		{"/a/id", `{"a":{"id":1},"a":2}`, ""},
		{"/id", `{"a":1}`, ""},
		{"/id", `[1]`, ""},
		{"/0", `[1]`, ""},
		{"/*", `{"*":1}`, ""},
		{"/id", `{"id":1`, ""},
		{"/id", `{"id":}`, ""},
		{"/id", ``, ""},
	} {
		start, end, ok := pointer(t, test.pointer).Span([]byte(test.document))
		if got := test.document[start:end]; ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s in %s: got %q, %t", test.pointer, test.document, got, ok)
		}
	}
}
