package eventstream

import "bytes"

// Boundary follows an event stream that somebody else writes, and tells where a
// comment can be put in without changing an event. The zero value stands at the
// start of a stream.
type Boundary struct {
	marked  int  // how many bytes of a byte order mark have come, and were kept
	begun   bool // what may be a byte order mark is over
	inLine  bool // a line has begun and not ended
	inEvent bool // a line of an event has begun since the last empty line
	afterCR bool // the last byte was a CR: a LF now belongs to it
}

// byteOrderMark may stand at the start of a stream, where it means nothing.
// Behind a comment it would be part of a field's name.
const byteOrderMark = "\uFEFF"

// Follow takes the next piece of the stream, of any size, and returns what to
// send in its place: the piece itself, but for a byte order mark at the start of
// the stream, which is taken out. As long as the stream may be about to begin
// with one, nothing is returned.
func (b *Boundary) Follow(piece []byte) []byte {
	piece = b.skipMark(piece)
	for rest := piece; len(rest) > 0; {
		if b.afterCR {
			b.afterCR = false
			if rest[0] == '\n' {
				rest = rest[1:]
				continue
			}
		}
		if !b.inLine {
			b.beginLine(rest[0])
		}
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			b.inLine = true
			break
		}
		b.inLine = false
		b.afterCR = rest[end] == '\r'
		rest = rest[end+1:]
	}
	return piece
}

func (b *Boundary) beginLine(first byte) {
	switch first {
	case '\r', '\n':
		b.inEvent = false
	case ':': // a comment begins no event and ends none
	default:
		b.inEvent = true
	}
}

// skipMark returns the piece without its part of a byte order mark. Bytes that
// began like one and then were none are given back.
func (b *Boundary) skipMark(piece []byte) []byte {
	if b.begun {
		return piece
	}
	for b.marked < len(byteOrderMark) {
		if len(piece) == 0 {
			return nil
		}
		if piece[0] != byteOrderMark[b.marked] {
			b.begun = true
			if b.marked == 0 {
				return piece
			}
			return append([]byte(byteOrderMark[:b.marked]), piece...)
		}
		b.marked++
		piece = piece[1:]
	}
	b.begun = true
	return piece
}

// Between tells whether the stream stands between whole events: at its start, or
// behind an empty line and perhaps comments. Behind a CR that is so as well: a LF
// that follows the comment ends an empty line, which between events says nothing.
func (b *Boundary) Between() bool {
	return !b.inLine && !b.inEvent
}
