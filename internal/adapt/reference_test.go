package adapt

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-parker/parker"
	"github.com/caddy-parker/parker/brokers/nats"
	"github.com/caddy-parker/parker/brokers/redis"
	"github.com/caddy-parker/parker/internal/bodymatch"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/metrics"
	"github.com/caddy-parker/parker/internal/status"
)

// reference is the page that has everything.
const reference = "docs/reference.md"

func TestReferenceHasEveryJSONField(t *testing.T) {
	page := read(t, reference)
	for heading, module := range map[string]any{
		"parker":         parker.Handler{},
		"parker_notify":  parker.Notify{},
		"parker_publish": hook.Handler{},
		"parker_status":  status.Handler{},
		"parker_body":    bodymatch.Matcher{},
		"Global options": hub.App{},
		"redis":          redis.Broker{},
		"nats":           nats.Broker{},
	} {
		section := sectionOf(t, page, heading)
		for _, field := range jsonFields(reflect.TypeOf(module)) {
			if !strings.Contains(section, "| `"+field+"` |") {
				t.Errorf("%s has no row for the field %s of %T", heading, field, module)
			}
		}
	}
}

// jsonFields are the members that a struct has in JSON, those of members with dots in
// between. Of a struct within itself the members are not told once more.
func jsonFields(of reflect.Type, around ...reflect.Type) (names []string) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		names = append(names, name)
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if around := append(around, of); inner.Kind() == reflect.Struct && !slices.Contains(around, inner) {
			for _, further := range jsonFields(inner, around...) {
				names = append(names, name+"."+further)
			}
		}
	}
	return names
}

// sectionOf is what stands under a heading, with what is under smaller ones.
func sectionOf(t *testing.T, page, heading string) string {
	t.Helper()
	begin := regexp.MustCompile(`(?m)^(#+) ` + regexp.QuoteMeta(heading) + `$`).FindStringSubmatchIndex(page)
	if begin == nil {
		t.Fatalf("there is no heading %s", heading)
	}
	section, level := page[begin[1]:], begin[3]-begin[2]
	end := regexp.MustCompile(`(?m)^#{1,` + strconv.Itoa(level) + `} `).FindStringIndex(section)
	if end != nil {
		section = section[:end[0]]
	}
	return section
}

func TestReferenceHasEveryCaddyfileOption(t *testing.T) {
	page := read(t, reference)
	for _, c := range []struct{ file, receiver, heading string }{
		{"caddyfile.go", "Handler", "parker"},
		{"caddyfile.go", "Notify", "parker_notify"},
		{"internal/hook/handler.go", "Handler", "parker_publish"},
		{"internal/status/handler.go", "Handler", "parker_status"},
		{"internal/bodymatch/caddyfile.go", "Matcher", "parker_body"},
		{"internal/nothingnew/caddyfile.go", "Rules", "nothing_new"},
		{"internal/stream/options.go", "Options", "sse"},
		{"internal/hub/app.go", "App", "Global options"},
		{"brokers/redis/caddyfile.go", "Broker", "redis"},
		{"brokers/nats/caddyfile.go", "Broker", "nats"},
		{"brokers/internal/client/client.go", "TLS", "redis"},
		{"brokers/internal/client/client.go", "TLS", "nats"},
	} {
		section := sectionOf(t, page, c.heading)
		options := optionsIn(sourceOf(c.file), c.receiver)
		if len(options) == 0 {
			t.Fatalf("%s: the options of %s are not found", c.file, c.receiver)
		}
		for option, choices := range options {
			if !regexp.MustCompile("(?m)^\\| `" + option + "[` ]").MatchString(section) {
				t.Errorf("%s has no row for the option %s", c.heading, option)
			}
			for _, choice := range choices {
				if !regexp.MustCompile("(?m)^\\| .*`" + option + " " + choice + "`").MatchString(section) {
					t.Errorf("%s does not have the choice %s %s", c.heading, option, choice)
				}
			}
		}
	}
}

func TestReferenceHasEveryValueName(t *testing.T) {
	page := read(t, reference)
	// They are compared with what was read, so they are found by that.
	compared := regexp.MustCompile(`d\.Val\(\) [!=]= "(\w+)"|Contains\(values, "(\w+)"\)`)
	found := 0
	for _, match := range compared.FindAllStringSubmatch(sourcesOf(t, ".go"), -1) {
		found++
		if word := match[1] + match[2]; !regexp.MustCompile("`[^`\n]*\\b" + word + "\\b[^`\n]*`").MatchString(page) {
			t.Errorf("the reference does not have the word %s", word)
		}
	}
	if found < 4 {
		t.Errorf("only %d words were found", found)
	}
}

func sourceOf(path string) *ast.File {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if err != nil {
		panic(err)
	}
	return file
}

// optionsIn are the keys of the [option.Options] in a type's methods, and the choices
// of those that are read by [option.OneOf].
func optionsIn(file *ast.File, receiver string) map[string][]string {
	options := make(map[string][]string)
	for _, declaration := range file.Decls {
		method, ok := declaration.(*ast.FuncDecl)
		if !ok || method.Recv == nil || !isPointerTo(method.Recv.List[0].Type, receiver) {
			continue
		}
		ast.Inspect(method, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok || !isOfOption(literal.Type, "Options") {
				return true
			}
			for _, element := range literal.Elts {
				pair := element.(*ast.KeyValueExpr)
				options[unquoted(pair.Key)] = choicesOf(pair.Value)
			}
			return false
		})
	}
	return options
}

func choicesOf(reader ast.Expr) (choices []string) {
	if call, ok := reader.(*ast.CallExpr); ok && isOfOption(call.Fun, "OneOf") {
		for _, choice := range call.Args[1:] {
			choices = append(choices, unquoted(choice))
		}
	}
	return choices
}

func isPointerTo(expression ast.Expr, name string) bool {
	star, ok := expression.(*ast.StarExpr)
	if !ok {
		return false
	}
	identifier, ok := star.X.(*ast.Ident)
	return ok && identifier.Name == name
}

func isOfOption(expression ast.Expr, name string) bool {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := selector.X.(*ast.Ident)
	return ok && from.Name == "option" && selector.Sel.Name == name
}

func unquoted(literal ast.Expr) string {
	text, err := strconv.Unquote(literal.(*ast.BasicLit).Value)
	if err != nil {
		panic(err)
	}
	return text
}

// sourcesOf is the text of all Go files whose names end so; those of tests only where
// that is asked for.
func sourcesOf(t *testing.T, suffix string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, suffix) || suffix == ".go" && strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestReferenceHasEveryMetric(t *testing.T) {
	section := sectionOf(t, read(t, reference), "Metrics")
	for _, d := range metricDescriptions(t) {
		row := regexp.MustCompile("(?m)^\\| `" + d.name + "` \\|.*$").FindString(section)
		if row == "" {
			t.Errorf("there is no row for %s", d.name)
		}
		for _, label := range d.labels {
			if label != "handler" && !strings.Contains(row, "`"+label+"`") {
				t.Errorf("the row of %s does not have its label %s", d.name, label)
			}
		}
		if byHandler := slices.Contains(d.labels, "handler"); byHandler == strings.Contains(row, "no `handler`") {
			t.Errorf("the row of %s is wrong about the label handler", d.name)
		}
	}
}

type metricDescription struct {
	name   string
	labels []string
}

func metricDescriptions(t *testing.T) (all []metricDescription) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := metrics.Register(registry); err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	described := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`)
	for description := range descriptions {
		found := described.FindStringSubmatch(description.String())
		if found == nil {
			t.Fatalf("a description has another form: %s", description)
		}
		d := metricDescription{name: found[1]}
		if found[2] != "" {
			d.labels = strings.Split(found[2], ",")
		}
		all = append(all, d)
	}
	return all
}

func metricNames(t *testing.T) (names []string) {
	for _, d := range metricDescriptions(t) {
		names = append(names, d.name)
	}
	return names
}

// TestReferenceHasEveryFieldAndPlaceholder looks for the texts in the sources by
// their form.
func TestReferenceHasEveryFieldAndPlaceholder(t *testing.T) {
	page, sources := read(t, reference), sourcesOf(t, ".go")
	for _, c := range []struct{ what, form, written string }{
		{"placeholder", `"(http\.parker\.\w+)"`, "`{%s}`"},
		{"field", `"(Parker-[A-Z][A-Za-z-]+)"`, "`%s"},
		{"event", `"(parker\.(?:reset|error))"`, "`%s`"},
		{"release", `Release = "(\w+)"`, "\n| `%s` |"},
		{"source of events", ` Source = "(\w+)"`, "`%s`"},
		{"command's flag", `cmd\.Flags\(\)\.\w+\("([a-z-]+)"`, "--%s"},
		{"command's flag", `\{"([a-z-]+)", "(?:Content-Type|Parker-\w+)"`, "--%s"},
		{"admin path", `Pattern: "(/parker/\w*)`, " %s"},
	} {
		found := regexp.MustCompile(c.form).FindAllStringSubmatch(sources, -1)
		if len(found) == 0 {
			t.Errorf("no %s is found", c.what)
		}
		for _, match := range found {
			if match[1] == "Parker-Node" || match[1] == "Parker-Number" {
				continue // between parker's own processes
			}
			if !strings.Contains(page, fmt.Sprintf(c.written, match[1])) {
				t.Errorf("the reference does not have the %s %s", c.what, match[1])
			}
		}
	}
}
