package eventstream

import "bytes"

// Boundary follows the event stream of a backend and finds the places where a comment
// can be inserted without changing an event. The zero value is at the start of a
// stream.
type Boundary struct {
	marked  int  // how many bytes of a byte order mark were held back
	begun   bool // the start, where a byte order mark may be, is over
	inLine  bool // a line has begun and not ended
	inEvent bool // a line of an event has begun since the last empty line
	afterCR bool // the last byte was a CR, so a LF that follows belongs to it
}

// byteOrderMark is ignored at the start of a stream. After a comment it would be part
// of a field's name.
const byteOrderMark = "\uFEFF"

// Follow takes the next piece of the stream, of any size, and returns what to send
// instead: the same bytes, without a byte order mark at the start of the stream. It
// returns nothing while the bytes so far may be an incomplete byte order mark.
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
	case ':': // a comment neither begins nor ends an event
	default:
		b.inEvent = true
	}
}

// skipMark returns the piece without its part of a byte order mark. If bytes that were
// held back turn out not to be a byte order mark, they are returned before the piece.
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

// Between reports whether the stream is between two events: at its start, or after an
// empty line that may be followed by comments. That includes the place between a CR and
// its LF: after an inserted comment the LF is an empty line, which has no meaning
// between events.
func (b *Boundary) Between() bool {
	return !b.inLine && !b.inEvent
}
