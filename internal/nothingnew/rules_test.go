package nothingnew

import (
	"encoding/json"
	"strings"
	"testing"
)

const testMaxBody = 64 << 10

func provisioned(t testing.TB, rules *Rules) *Rules {
	t.Helper()
	if err := rules.Provision(testMaxBody); err != nil {
		t.Fatal(err)
	}
	return rules
}

// raw is JSON values as the configuration has them.
func raw(values ...string) []json.RawMessage {
	var messages []json.RawMessage
	for _, value := range values {
		messages = append(messages, json.RawMessage(value))
	}
	return messages
}

func TestRulesProvisionRefusesWrongRulesByName(t *testing.T) {
	for _, test := range []struct {
		rules Rules
		want  string
	}{
		{Rules{}, "no rule"},
		{Rules{Status: []int{204, 99}}, "status 99:"},
		{Rules{Status: []int{0}}, "status 0:"},
		{Rules{Status: []int{1}}, "status 1:"},
		{Rules{Status: []int{6}}, "status 6:"},
		{Rules{Status: []int{101}}, "status 101:"},
		{Rules{Status: []int{600}}, "status 600:"},
		{Rules{Status: []int{-204}}, "status -204:"},
		{Rules{Header: map[string][]string{"": nil}}, `header "":`},
		{Rules{Header: map[string][]string{"X No": nil}}, `header "X No":`},
		{Rules{JSON: []JSONRule{{Pointer: "messages"}}}, `json "messages":`},
		{Rules{JSON: []JSONRule{{Pointer: "#/messages"}}}, `json "#/messages":`},
		{Rules{JSON: []JSONRule{{Pointer: "/a~2"}}}, `json "/a~2":`},
		{Rules{JSON: []JSONRule{{Pointer: "/a~"}}}, `json "/a~":`},
		{Rules{JSON: []JSONRule{{Pointer: strings.Repeat("/*", 9)}}}, "can contain * at most 8 times"},
		{Rules{JSON: []JSONRule{{Pointer: "/a", Values: raw("idle")}}}, `"idle"`},
		{Rules{JSON: []JSONRule{{Pointer: "/a", Values: raw("1 2")}}}, `"1 2"`},
		{Rules{JSON: []JSONRule{{Pointer: "/a", Values: raw("")}}}, `json "/a":`},
		{Rules{JSON: []JSONRule{{Pointer: "/a", Values: raw("1"), Absent: true}}}, `absent cannot be combined with values`},
		{Rules{Match: []string{"ok", "("}}, `match "(":`},
		{Rules{Unchanged: &Unchanged{Except: []string{"clock"}}}, `unchanged except "clock":`},
		{Rules{Unchanged: &Unchanged{Except: []string{""}}}, `unchanged except "":`},
		{Rules{Unchanged: &Unchanged{Except: []string{strings.Repeat("/*", 9)}}}, "can contain * at most 8 times"},
		{Rules{All: [][]Rules{{}}}, "all: the block is empty"},
		{Rules{All: [][]Rules{{{Status: []int{204}}}, nil}}, "all: the block is empty"},
		{Rules{All: [][]Rules{{{Status: []int{204}}, {}}}}, "all: no rules are given"},
		{Rules{All: [][]Rules{{{Match: []string{"("}}}}}, `all: match "(":`},
		{Rules{All: [][]Rules{{{Unchanged: new(Unchanged)}}}}, "all: unchanged cannot be inside all"},
		{Rules{All: [][]Rules{{{All: [][]Rules{{{Body: []string{""}}}}}}}}, "all: all cannot be inside another all"},
	} {
		err := test.rules.Provision(testMaxBody)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got the error %v, want one with %q", test.rules, err, test.want)
		}
	}
	if err := Default().Provision(0); err == nil {
		t.Error("looking at no byte of the body passed")
	}
}

func TestRulesSurviveJSON(t *testing.T) {
	text := `{"status":[2,304],"body":["","[]"],"header":{"X-A":[],"X-B":["1*"]},` +
		`"json":[{"pointer":"/a","values":["x",1]},{"pointer":"/b","absent":true}],` +
		`"match":["^ok$"],"all":[[{"body":["","OK"]},{"header":{"X-A":["1"]}}],[{"status":[404]}]],"unchanged":{"except":["/clock"]}}`
	var rules Rules
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(provisioned(t, &rules))
	if err != nil || string(again) != text {
		t.Errorf("got %s, %v, want %s", again, err, text)
	}
}
