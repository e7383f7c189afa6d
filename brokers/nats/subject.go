package nats

import (
	"errors"
	"strings"

	"github.com/caddy-parker/parker/brokers"
)

const hexDigits = "0123456789ABCDEF"

// tokenOf returns a channel's name as one token of a subject: ASCII letters, digits, '-'
// and '_' stay as they are, any other byte becomes '=' and two hexadecimal digits. So
// rooms/7 becomes rooms=2F7.
func tokenOf(channel string) string {
	var token strings.Builder
	for i := range len(channel) {
		b := channel[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
			token.WriteByte(b)
		default:
			token.Write([]byte{'=', hexDigits[b>>4], hexDigits[b&0xF]})
		}
	}
	return token.String()
}

var (
	errTokens = errors.New("the channel is more than one token of the subject; write a dot as =2E")
	errEscape = errors.New("'=' in the subject is not followed by two hexadecimal digits; write '=' itself as =3D")
)

// channelOf returns the channel of a token. Applications may encode any byte with '=',
// and need not encode bytes that NATS allows in a token.
func channelOf(token string) (string, error) {
	if strings.Contains(token, ".") {
		return "", errTokens
	}
	var channel strings.Builder
	for i := 0; i < len(token); i++ {
		b := token[i]
		if b == '=' {
			if i+2 >= len(token) {
				return "", errEscape
			}
			high, low := digitOf(token[i+1]), digitOf(token[i+2])
			if high < 0 || low < 0 {
				return "", errEscape
			}
			b = byte(high<<4 | low)
			i += 2
		}
		channel.WriteByte(b)
	}
	return channel.String(), brokers.CheckChannel(channel.String())
}

// digitOf returns the value of a hexadecimal digit, or -1.
func digitOf(b byte) int {
	if 'a' <= b && b <= 'f' {
		b -= 'a' - 'A'
	}
	return strings.IndexByte(hexDigits, b)
}

// covers reports whether a subject of a stream, which may have wildcards, matches every
// subject of the prefix and one more token.
func covers(subject, prefix string) bool {
	have, want := strings.Split(subject, "."), append(strings.Split(prefix, "."), "*")
	for i, token := range have {
		switch {
		case token == ">":
			return i < len(want)
		case i >= len(want), token != "*" && token != want[i]:
			return false
		}
	}
	return len(have) == len(want)
}
