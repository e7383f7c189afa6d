package nats

import (
	"errors"
	"strings"

	"github.com/caddy-parker/parker/brokers"
)

const hexDigits = "0123456789ABCDEF"

// tokenOf writes a channel's name as one token of a subject: ASCII letters, digits,
// '-' and '_' as they are, each other byte as '=' and two hexadecimal digits. So
// rooms/7 is rooms=2F7.
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
	errTokens = errors.New("the channel takes more than one token of the subject; a dot in it is written =2E")
	errEscape = errors.New("an equals sign in the subject is not followed by two hexadecimal digits; one by itself is written =3D")
)

// channelOf reads what tokenOf wrote. Applications may also write any byte as it is
// that NATS allows in a token, and any with '='.
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

// digitOf is the value of a hexadecimal digit, or -1.
func digitOf(b byte) int {
	if 'a' <= b && b <= 'f' {
		b -= 'a' - 'A'
	}
	return strings.IndexByte(hexDigits, b)
}

// covers tells whether a subject of a stream, which may have wildcards, takes in all
// that have one token behind the prefix.
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
