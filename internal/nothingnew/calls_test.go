package nothingnew

import (
	"net/http"
	"testing"
)

func TestRulesAnswerForRepeatsWhatTheRequestHas(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/id", "/*/id", "/result/stats", "/clock"}}})
	for _, test := range []struct {
		header           http.Header
		from, to, answer string
		want             string
	}{
		{nil, `{"method":"x","id":7}`, `{"method":"x","id":8}`, `{"result": 7, "id": 7}`, `{"result": 7, "id": 8}`},
		{nil, `{"id":"a7","method":"x"}`, `{"id":"a18","method":"x"}`, `{"id":"a7","result":{}}`, `{"id":"a18","result":{}}`},
		{nil, `{"id":"a7"}`, `{"id":"a77"}`, `{"id":"a7","result":{}}`, `{"id":"a77","result":{}}`},
		{nil, `{"id":null}`, `{"id":1}`, `{"id":null}`, `{"id":1}`},
		{nil, `{"id":7}`, `{"id":7}`, `{"id":9}`, `{"id":9}`},
		{nil, `{"method":"x"}`, `{"method":"x"}`, `{}`, `{}`},
		{nil, `{"id":7}`, `{"id":8}`, `{"id":7,"result":{"stats":{"free":1}}}`, `{"id":8,"result":{"stats":{"free":1}}}`},
		{http.Header{"Etag": {`W/"parker-vL5j5QrZlrQmWwtmhZWUeQ"`}}, `{"id":7}`, `{"id":8}`, `{"id":7}`, `{"id":8}`},
		{encoding("identity"), `{"id":7}`, `{"id":8}`, `{"id":7}`, `{"id":8}`},

		{nil, `{"id":7}`, `{"id":8}`, `{"result":7}`, ""},                      // the answer does not repeat it
		{nil, `{"id":7}`, `{"id":8}`, `{"id":"7"}`, ""},                        // or in another form
		{nil, `{"clock":7}`, `{"clock":8}`, `{"clock":9}`, ""},                 // or it has one of its own
		{nil, `{"id":"a7"}`, `{"id":"a8"}`, `{"id":"a7","log":"call a7"}`, ""}, // it is elsewhere, too
		{http.Header{"X-Call": {"a7"}}, `{"id":"a7"}`, `{"id":"a8"}`, `{"id":"a7"}`, ""},
		{nil, `{"id":7}`, `{}`, `{"id":7}`, ""},
		{nil, `{}`, `{"id":7}`, `{"id":7}`, ""},
		{nil, `{"id":[7]}`, `{"id":[8]}`, `{"id":[7]}`, ""},
		{nil, `{"id":7,"method":"x"}`, `{"id":8,"method":"y"}`, `{"id":7}`, ""},
		{nil, `{"id":7,"method":"x"}`, `{"id":8, "method":"x"}`, `{"id":7}`, ""},
		{nil, `[{"id":7}]`, `[{"id":8}]`, `[{"id":7}]`, ""},
		{nil, `{"id":7}`, `{"id":8}`, ``, ""},
		{http.Header{"Etag": {`"7"`}}, `{"id":7}`, `{"id":8}`, `{"id":7}`, ""},
		{http.Header{"Content-Digest": {"sha-256=:x:"}}, `{"id":7}`, `{"id":8}`, `{"id":7}`, ""},
		{encoding("gzip"), `{"id":7}`, `{"id":8}`, `{"id":7}`, ""},
		{encoding("gzip"), `{"id":7}`, `{"id":8}`, string(encoders["gzip"]([]byte(`{"id":7}`))), `{"id":8}`},
	} {
		from := []byte(test.from)
		body, ok := rules.AnswerFor(test.header, []byte(test.answer), from, []byte(test.to))
		if ok != (test.want != "") || ok && string(body) != test.want {
			t.Errorf("%s to %s, for %s: got %s, %t", test.answer, test.from, test.to, body, ok)
		}
		if string(from) != test.from {
			t.Errorf("%s was changed to %s", test.from, from)
		}
	}
}

func TestRulesRepeatsGoesByTheAnswer(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/id", "/version"}}})
	for _, test := range []struct {
		header              http.Header
		from, other, answer string
		want                bool
	}{
		{nil, `{"id":7,"version":2}`, `{"id":8,"version":2}`, `{"id":7}`, true},
		{nil, `{"id":7}`, `{"id":[8]}`, `{"id":7}`, true}, // that the other id is unusual does not matter
		{nil, `{"id":7}`, `{}`, `{"id":7}`, true},
		{nil, `{"id":7}`, `{"id":8}`, `{"result":7}`, false},
		{nil, `{"id":7,"version":2}`, `{"id":8,"version":3}`, `{"id":7}`, false},
		{nil, `{"id":[7]}`, `{"id":8}`, `{"id":[7]}`, false},
		{nil, `{"id":"a7"}`, `{"id":"a8"}`, `{"id":"a7","log":"a7"}`, false},
		{http.Header{"Etag": {`"7"`}}, `{"id":7}`, `{"id":8}`, `{"id":7}`, false},
		{encoding("gzip"), `{"id":7}`, `{"id":8}`, `{"id":7}`, false},
	} {
		if got := rules.Repeats(test.header, []byte(test.answer), []byte(test.from), []byte(test.other)); got != test.want {
			t.Errorf("%s to %s, beside %s: got %t", test.answer, test.from, test.other, got)
		}
	}
}

func TestRulesCallBodyIsWholeIfNoAnswerCanServeAnotherCall(t *testing.T) {
	rules := provisioned(t, &Rules{Unchanged: &Unchanged{Except: []string{"/*/id", "/id"}}})
	for body, want := range map[string]string{
		` {"method":"x","id":7}`:           `{"method":"x"}`,
		`[{"method":"x","id":7}]`:          `[{"method":"x","id":7}]`,
		"\ufeff" + `{"method":"x","id":7}`: "\ufeff" + `{"method":"x","id":7}`,
	} {
		if got := rules.CallBody(nil, []byte(body)); string(got) != want {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
}
