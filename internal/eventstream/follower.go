package eventstream

import "bytes"

// Follower follows an event stream that comes in pieces of any size. It finds the lines,
// and the places where a comment can be inserted without changing an event. The zero value
// is at the start of a stream.
type Follower struct {
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
func (f *Follower) Follow(piece []byte) []byte {
	piece = f.skipMark(piece)
	for rest := piece; len(rest) > 0; {
		_, rest, _ = f.next(rest)
	}
	return piece
}

// next returns the next part of a line, the rest of the piece, and whether the line ends
// with the part. The piece is not empty.
func (f *Follower) next(piece []byte) (part, rest []byte, ended bool) {
	if f.afterCR {
		f.afterCR = false
		if piece[0] == '\n' {
			return nil, piece[1:], false
		}
	}
	if !f.inLine {
		f.beginLine(piece[0])
	}
	end := bytes.IndexAny(piece, "\r\n")
	if f.inLine = end < 0; f.inLine {
		return piece, nil, false
	}
	f.afterCR = piece[end] == '\r'
	return piece[:end], piece[end+1:], true
}

func (f *Follower) beginLine(first byte) {
	switch first {
	case '\r', '\n':
		f.inEvent = false
	case ':': // a comment neither begins nor ends an event
	default:
		f.inEvent = true
	}
}

// skipMark returns the piece without its part of a byte order mark. If bytes that were
// held back turn out not to be a byte order mark, they are returned before the piece.
func (f *Follower) skipMark(piece []byte) []byte {
	if f.begun {
		return piece
	}
	for f.marked < len(byteOrderMark) {
		if len(piece) == 0 {
			return nil
		}
		if piece[0] != byteOrderMark[f.marked] {
			f.begun = true
			if f.marked == 0 {
				return piece
			}
			return append([]byte(byteOrderMark[:f.marked]), piece...)
		}
		f.marked++
		piece = piece[1:]
	}
	f.begun = true
	return piece
}

// Between reports whether the stream is between two events: at its start, or after an
// empty line that may be followed by comments. That includes the place between a CR and
// its LF: after an inserted comment the LF is an empty line, which has no meaning
// between events.
func (f *Follower) Between() bool {
	return !f.inLine && !f.inEvent
}
