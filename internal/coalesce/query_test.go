package coalesce

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// ignoring are rules that ignore two parameters.
var ignoring = map[string]Rule{
	"everything": Rule{}.Ignoring([]string{"_", "call back"}),
	"public":     RuleOf(nil, true).Ignoring([]string{"_", "call back"}),
	"values":     RuleOf([]string{"{http.request.cookie.session}"}, false).Ignoring([]string{"call back", "_", "_"}),
}

func TestKeyLeavesIgnoredParametersOut(t *testing.T) {
	for name, rule := range ignoring {
		t.Run(name, func(t *testing.T) {
			plain := asked{}.key(t, rule)
			for _, target := range []string{
				"/messages?since=1&_=17", "/messages?_=17&since=1", "/messages?since=1&_", "/messages?since=1&_=", "/messages?since=1&%5f=1", "/messages?since=1&%5F=a%26b",
				"/messages?_=1&since=1&_=2&_=3", "/messages?since=1&call+back=a&_=1", "/messages?call%20back=a.b-c&since=1",
			} {
				if (asked{target: target}).key(t, rule) != plain {
					t.Errorf("%s has a key of its own", target)
				}
			}
			if (asked{target: "/feed?_=1"}).key(t, rule) != (asked{target: "/feed"}).key(t, rule) {
				t.Error("a URL with nothing but an ignored parameter has a key of its own")
			}
		})
	}
}

func TestKeyKeepsOtherParameters(t *testing.T) {
	for name, rule := range ignoring {
		t.Run(name, func(t *testing.T) {
			keys := map[Key]string{asked{}.key(t, rule): "the plain request"}
			for _, target := range []string{
				"/messages?since=1&__=1", "/messages?since=1&_a=1", "/messages?since=1&Call+back=1", "/messages?since=1&callback=1", "/messages?since=1&&_=1", "/messages?&since=1",
				"/messages?since=%31", "/messages?since=2&_=1", "/messages?%73ince=1", "/messages?since=1&since=1", "/messages?a=_&since=1", "/messages?since=1&%255F=1",
				// What a backend may read in another way.
				"/messages?since=1&_=1;since=2", "/messages?_;since=1&since=1", "/messages?since=1&_=1\"", "/messages?since=1&_=[1]", "/messages?since=1&_=1#", "/messages?since=1&_%zz=1",
			} {
				key := asked{target: target}.key(t, rule)
				if other, taken := keys[key]; taken {
					t.Errorf("%s and %s have one key", target, other)
				}
				keys[key] = target
			}
		})
	}
}

// A backend behind FastCGI sees the URL as it was before rewrites.
func TestKeyIgnoresParametersOfOriginalURL(t *testing.T) {
	rule := ignoring["everything"]
	plain := asked{rewrittenFrom: "/old?a=b"}
	for original, same := range map[string]bool{"/old?a=b&_=1": true, "/old?_=2&a=b": true, "/old?a=c&_=1": false} {
		if (asked{rewrittenFrom: original}.key(t, rule) == plain.key(t, rule)) != same {
			t.Errorf("%s shares: %t, want %t", original, !same, same)
		}
	}
}

func TestKeyOfWholeTargetTellsIgnoredParametersApart(t *testing.T) {
	for name, rule := range ignoring {
		t.Run(name, func(t *testing.T) {
			keys := make(map[Key]string)
			for _, request := range []asked{
				{target: "/feed"}, {target: "/feed?_=1"}, {target: "/feed?_=2"}, {target: "/feed?_=1&_=2"}, {rewrittenFrom: "/feed?_=1"}, {rewrittenFrom: "/feed?_=2"},
			} {
				for _, whole := range []bool{true, false} {
					q := request.request(t)
					q.Whole = whole
					keys[rule.Key(q)] = request.target
				}
			}
			const want = 6 + 2 // the whole targets, and two without the parameter
			if len(keys) != want {
				t.Errorf("%d keys, want %d", len(keys), want)
			}
		})
	}
}

func TestRuleEchoedReturnsValuesOfIgnoredParameters(t *testing.T) {
	rule := Rule{}.Ignoring([]string{"_", "callback"})
	for query, want := range map[string][]string{
		"":                                 {},
		"a=b":                              {},
		"_":                                {},
		"_=&callback=":                     {},
		"_=17&a=b":                         {"17"},
		"callback=jQuery1_2.a-b&_=17":      {"17", "jquery1_2.a-b"},
		"_=1&_=2&%5f=3":                    {"1", "2", "3"},
		"callback=%61B":                    {"%61b", "ab"},
		"callback=a%5B0%5D":                nil,
		"callback=a&_=a+b":                 nil,
		"callback=%zz":                     nil,
		"callback=" + url.QueryEscape("é"): nil,
		"a=%zz&_=1":                        {"1"},
	} {
		for _, target := range []Target{{RawQuery: query}, {RequestURI: "/feed?" + query}, {Original: "/feed?" + query, RequestURI: "/a?b=c"}} {
			texts, ok := rule.Echoed(target)
			slices.Sort(texts)
			if ok != (want != nil) || !slices.Equal(texts, want) {
				t.Errorf("%+v: Echoed = %q, %t, want %q", target, texts, ok, want)
			}
		}
	}
	if texts, ok := new(Rule).Echoed(Target{RawQuery: "_=a+b"}); !ok || texts != nil {
		t.Error("a rule that ignores nothing finds something")
	}
}

// FuzzRuleCutQuery checks that only whole parameters with an ignored name are removed, and
// that a query without them stays as it is.
func FuzzRuleCutQuery(f *testing.F) {
	for _, query := range []string{"", "_", "_=1", "a=b&_=1&c", "&&_=1&", "%5F=1&a", "_=1;a=2&b", "a=%zz&%zz&_=%zz", "+=1&_ =2", "_=\"&_=#&_=é&_=\xff", "__=1&_[]=2&_a", "?_=1"} {
		f.Add(query, "_")
	}
	f.Add("a b=1&a+b=2&a%20b=3", "a b")
	f.Fuzz(func(t *testing.T, query, name string) {
		if name == "" {
			return
		}
		rule := Rule{}.Ignoring([]string{name})
		rest := rule.CutQuery(query)
		if again := rule.CutQuery(rest); again != rest {
			t.Fatalf("%q: %q is left, and of that %q", query, rest, again)
		}
		kept := strings.Split(query, "&")
		kept = slices.DeleteFunc(kept, func(parameter string) bool {
			written, _, _ := strings.Cut(parameter, "=")
			decoded, err := url.QueryUnescape(written)
			return err == nil && decoded == name && !strings.ContainsFunc(parameter, notInParameter)
		})
		if want := strings.Join(kept, "&"); rest != want {
			t.Fatalf("%q: %q is left, want %q", query, rest, want)
		}
		want := "/feed"
		if rest != "" || rest == query {
			want += "?" + rest
		}
		if cut := rule.cutURI("/feed?" + query); cut != want {
			t.Fatalf("/feed?%s became %q, want %q", query, cut, want)
		}
		// What Go reads of the rest is what it reads of the whole, but for the name.
		whole, wholeErr := url.ParseQuery(query)
		part, partErr := url.ParseQuery(rest)
		if wholeErr == nil && partErr == nil {
			delete(whole, name)
			delete(part, name)
			if !maps.EqualFunc(whole, part, slices.Equal[[]string]) {
				t.Fatalf("%q means %v, and %q means %v", query, whole, rest, part)
			}
		}
	})
}
