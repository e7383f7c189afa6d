package mistakes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// optionsTakenForChannels finds the options of a directive that stand on its own line,
// where words are channels. A channel may have the name of an option, so only those are
// found that can hardly be meant otherwise, and none in quotes.
func optionsTakenForChannels(h httpcaddyfile.Helper, directive caddyfile.Unmarshaler) (warnings []warning) {
	h.Reset()
	h.Next()
	reader := optionReader{name: h.Token(), directive: reflect.TypeOf(directive).Elem()}
	var line []caddyfile.Token
	for h.NextArg() {
		line = append(line, h.Token())
	}
	for i := 0; i < len(line); i++ {
		length := reader.optionAt(line, i)
		if length == 0 {
			continue
		}
		var words []string
		for _, token := range line[i : i+length] {
			words = append(words, token.Text)
		}
		warnings = append(warnings, warning{
			message: "an option is taken for a channel",
			at:      place(line[i]),
			hint: fmt.Sprintf("%s takes %s for channels, as they stand on its own line. Options go in a block behind it, each on a line: { %s }. If channels are meant, put %q in quotes",
				reader.name.Text, quoted(words), strings.Join(words, " "), words[0]),
		})
		i += length - 1
	}
	return warnings
}

// optionReader says what a directive would take for an option, if it stood in its block.
type optionReader struct {
	name      caddyfile.Token // the directive's
	directive reflect.Type
}

// optionAt returns how many words of a line, from one on, are surely an option and its
// values; 0 if none.
func (r optionReader) optionAt(line []caddyfile.Token, at int) (words int) {
	option := line[at]
	if option.Quoted() || isUnknown(r.read(option)) {
		return 0
	}
	for end := at + 1; end <= len(line); end++ {
		if r.read(line[at:end]...) == nil {
			words = end - at
		}
	}
	switch {
	case strings.Contains(option.Text, "_"):
		return max(words, 1) // hardly a channel's name
	case words == 1:
		// Without a value, it could well be a channel's name; less so behind another.
		return min(at, 1)
	case words > 1 && r.read(option, withText(option, anyText)) == nil:
		return 0 // that the next word fits says nothing, as any would
	}
	return words
}

// isUnknown reports whether an error says that a directive has no such option.
func isUnknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unrecognized subdirective")
}

// anyText fits no option that asks for something in particular.
const anyText = "a/b"

// read has the directive read an option in its block.
func (r optionReader) read(option ...caddyfile.Token) error {
	name := r.name
	brace := withText(name, "{")
	end := withText(name, "}")
	end.Line += 2
	tokens := []caddyfile.Token{name, brace}
	for _, token := range option {
		word := withText(name, token.Text)
		word.Line++
		tokens = append(tokens, word)
	}
	directive := reflect.New(r.directive).Interface().(caddyfile.Unmarshaler)
	return directive.UnmarshalCaddyfile(caddyfile.NewDispenser(slices.Concat(tokens, []caddyfile.Token{end})))
}

// withText returns another token at the place of one.
func withText(token caddyfile.Token, text string) caddyfile.Token {
	token.Text = text
	return token
}
