package mistakes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// optionsTakenForChannels finds options of a directive that are on the directive's own
// line, where words are channels. A channel may have the name of an option, so it finds
// only words that are almost certainly options, and none in quotes.
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
			message: "option used as a channel",
			at:      place(line[i]),
			hint: fmt.Sprintf("%s uses %s as channels, because they are on its own line. Options must be in a block, each on its own line: { %s }. If channels are meant, put %q in quotes",
				reader.name.Text, quoted(words), strings.Join(words, " "), words[0]),
		})
		i += length - 1
	}
	return warnings
}

// optionReader finds out which words a directive would accept as an option in its block.
type optionReader struct {
	name      caddyfile.Token // the directive's
	directive reflect.Type
}

// optionAt returns how many words of a line, from the index at, are almost certainly an
// option and its values, or 0 if there is no option.
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
		return max(words, 1) // unlikely to be a channel
	case words == 1:
		// A single word may be a channel if it is the first, but probably not after
		// another channel.
		return min(at, 1)
	case words > 1 && r.read(option, withText(option, anyText)) == nil:
		return 0 // the option accepts any word, so the next word proves nothing
	}
	return words
}

// isUnknown reports whether an error says that a directive has no such option.
func isUnknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unrecognized subdirective")
}

// anyText is only accepted by options that accept any text.
const anyText = "a/b"

// read parses the directive with an option in its block.
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

// withText returns a token with another text at the same position.
func withText(token caddyfile.Token, text string) caddyfile.Token {
	token.Text = text
	return token
}
