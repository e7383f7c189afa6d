package jsonvalue

import (
	"encoding/json"
	"testing"
)

func TestConditionIsMetByAnyPart(t *testing.T) {
	for _, test := range []struct {
		pointer  string
		values   []string
		absent   bool
		document string
		want     bool
	}{
		{"/*/state", []string{`"idle"`}, false, `[{"state":"busy"},{"state":"idle"}]`, true},
		{"/*/state", []string{`"idle"`}, false, `[{"state":"busy"}]`, false},
		{"/*/state", []string{`"idle"`}, false, `{"state":"idle"}`, true},
		{"/*/n", []string{"1", "2"}, false, `[{"n":3},{"n":2.0}]`, true},
		{"/*/n", nil, false, `[{"n":3},{"n":0}]`, true},
		{"/*/n", nil, false, `[{"n":3}]`, false},
		{"/*/n", nil, false, `[{}]`, false},
		{"/*/n", nil, true, `[{}]`, true},
		{"/*/n", nil, true, `[]`, true},
		{"/*/n", nil, true, `[{},{"n":null}]`, false},
		{"/*/n", nil, true, `{"n":1}`, false},
	} {
		var values []json.RawMessage
		for _, value := range test.values {
			values = append(values, json.RawMessage(value))
		}
		c, err := NewCondition(test.pointer, values, test.absent)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Met(parsed(t, test.document), IsNothing); got != test.want {
			t.Errorf("%+v: got %t", test, got)
		}
	}
}
