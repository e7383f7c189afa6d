package brokers

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxChannelBytes is the maximum length of a channel name, in bytes.
const MaxChannelBytes = 255

// Errors that [CheckChannel] returns.
var (
	ErrChannelEmpty   = errors.New("the channel name is empty")
	ErrChannelTooLong = fmt.Errorf("the channel name is longer than %d bytes", MaxChannelBytes)
	ErrChannelNotUTF8 = errors.New("the channel name is not UTF-8")
	ErrChannelControl = errors.New("the channel name contains a control character")
)

// CheckChannel returns an error if name is not a valid channel name: UTF-8 text of 1
// to [MaxChannelBytes] bytes without control characters.
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
