package nothingnew

import (
	"bytes"
	"net/http"
	"testing"
)

func TestRulesRequestBodyLeavesOutExceptedParts(t *testing.T) {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}}
	text := http.Header{"Content-Type": {"text/plain"}}
	for _, test := range []struct {
		except []string
		header http.Header
		body   string
		want   string
	}{
		{[]string{"/id"}, nil, `{"method":"x", "id":7}`, `{"method":"x"}`},
		{[]string{"/id"}, text, ` {"id":7,"method":"x"}` + "\n", `{"method":"x"}`},
		{[]string{"/id"}, form, `{"id":7,"method":"x"}`, `{"method":"x"}`},
		{[]string{"/id"}, nil, mark + `{"id":7,"method":"x"}`, `{"method":"x"}`},
		{[]string{"/*/id"}, nil, `[{"id":7,"method":"x"},{"id":8,"method":"y"}]`, `[{"method":"x"},{"method":"y"}]`},
		{[]string{"/*/id"}, nil, `{"id":7,"method":"x"}`, `{"method":"x"}`},
		{[]string{"/id", "/params/0"}, nil, `{"id":7,"params":["token:1",2]}`, `{"params":[null,2]}`},
		{[]string{"/id"}, nil, `{"method":"x"`, `{"method":"x"`},
		{[]string{"/id"}, nil, `{"id":1} {"id":2}`, `{"id":1} {"id":2}`},
		{[]string{"/id"}, nil, "{\"id\":1,\"name\":\"\xfc\"}", "{\"id\":1,\"name\":\"\xfc\"}"},
		{[]string{"/id"}, nil, `"id"`, `"id"`},
		{[]string{"/id"}, nil, ``, ``},
		{[]string{"/id"}, encoding("gzip"), `{"id":1}`, `{"id":1}`},
		{[]string{"/id"}, encoding("identity"), `{"id":1}`, `{}`},
		{nil, nil, ` {"id":1}`, ` {"id":1}`},

		{[]string{"/_nonce"}, form, "action=heartbeat&_nonce=abc&data%5Ba%5D=1", "action=heartbeat&data%5Ba%5D=1"},
		{[]string{"/_nonce"}, form, "_nonce=a&x=1&_nonce=b&%5Fnonce=c&_nonce", "x=1"},
		{[]string{"/data[time]"}, form, "data%5Btime%5D=1&data[time]=2&data%5Bid%5D=3", "data%5Bid%5D=3"},
		{[]string{"/*/_nonce"}, form, "x=1&_nonce=b", "x=1"},
		{[]string{"/a/_nonce"}, form, "a=1&_nonce=b", "a=1&_nonce=b"},
		{[]string{"/x"}, form, "%zz=1&x=2&&y=%zz", "%zz=1&&y=%zz"},
		{[]string{"/*"}, form, "a=1&b=2", ""},
		{[]string{"/_nonce"}, form, "{&_nonce=b", "{"},
		{[]string{"/_nonce"}, text, "x=1&_nonce=b", "x=1&_nonce=b"},
		{[]string{"/_nonce"}, nil, "x=1&_nonce=b", "x=1&_nonce=b"},
		{nil, form, "x=1&_nonce=b", "x=1&_nonce=b"},
	} {
		rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: test.except}})
		body := []byte(test.body)
		if got := rules.RequestBody(test.header, body); string(got) != test.want {
			t.Errorf("except %q: %s: got %s, want %s", test.except, test.body, got, test.want)
		}
		if !bytes.Equal(body, []byte(test.body)) {
			t.Errorf("except %q: %s was changed to %s", test.except, test.body, body)
		}
	}
}

func TestRulesRequestBodyIsFreeWithoutExcept(t *testing.T) {
	header := http.Header{"Content-Type": {"application/json"}}
	body := []byte(`{"id":1}`)
	for name, rules := range map[string]*Rules{"default": Default(), "unchanged": {Unchanged: new(Unchanged)}} {
		provisioned(t, rules)
		if n := testing.AllocsPerRun(100, func() { rules.RequestBody(header, body) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzRequestBody checks that nothing panics, that the body is not changed, and that
// leaving out the same parts of a JSON body again changes nothing.
func FuzzRequestBody(f *testing.F) {
	f.Add([]byte(`{"id":1,"params":[{"id":2}]}`), false)
	f.Add([]byte("op=rpc&id=1&%69d=2&%zz"), true)
	rules := provisioned(f, &Rules{Unchanged: &Unchanged{Except: []string{"/id", "/params/*/id", "/0"}}})
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		header := http.Header{}
		if form {
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		kept := bytes.Clone(body)
		once := rules.RequestBody(header, body)
		if !bytes.Equal(body, kept) {
			t.Fatalf("%q was changed to %q", kept, body)
		}
		if twice := rules.RequestBody(header, once); !form && !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q, then %q", body, once, twice)
		}
	})
}
