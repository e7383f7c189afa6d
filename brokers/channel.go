package brokers

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxChannelBytes is how long a channel's name may be.
const MaxChannelBytes = 255

// Why a text is not the name of a channel.
var (
	ErrChannelEmpty   = errors.New("the channel name is empty")
	ErrChannelTooLong = fmt.Errorf("the channel name is longer than %d bytes", MaxChannelBytes)
	ErrChannelNotUTF8 = errors.New("the channel name is not UTF-8")
	ErrChannelControl = errors.New("the channel name holds a control character")
)

// CheckChannel tells why name cannot name a channel: any UTF-8 text of 1 to
// [MaxChannelBytes] bytes without control characters can.
func CheckChannel(name string) error {
	switch {
	case name == "":
		return ErrChannelEmpty
	case len(name) > MaxChannelBytes:
		return ErrChannelTooLong
	case !utf8.ValidString(name):
		return ErrChannelNotUTF8
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return ErrChannelControl
		}
	}
	return nil
}
