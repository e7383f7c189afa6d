package observe

import (
	"slices"
	"sync"
)

// text is the copy of a body. Its memory is counted by a watcher.
type text struct {
	watcher *watcher
	bytes   []byte // in a buffer that is reused; nil if nothing was copied
}

// leastBuffer is the size of new buffers.
const leastBuffer = 4 << 10

// buffers keeps buffers for reuse.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, leastBuffer)} }}

// buffer is room for a body.
type buffer struct{ bytes []byte }

// add copies a part of the body. It returns false, and drops what it has, if the body is too
// long, or if other requests take too much memory.
func (t *text) add(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if len(t.bytes)+len(p) > maxBody {
		t.release()
		return false
	}
	if t.bytes == nil {
		room := buffers.Get().(*buffer)
		if !t.watcher.reserve(cap(room.bytes)) {
			buffers.Put(room)
			return false
		}
		t.bytes = room.bytes
	}
	if need := len(t.bytes) + len(p); need > cap(t.bytes) {
		grown := slices.Grow(t.bytes, max(need, min(2*cap(t.bytes), maxBody))-len(t.bytes))
		if !t.watcher.reserve(cap(grown) - cap(t.bytes)) {
			t.release()
			return false
		}
		t.bytes = grown
	}
	t.bytes = append(t.bytes, p...)
	return true
}

// release gives the buffer back.
func (t *text) release() {
	if t.bytes == nil {
		return
	}
	t.watcher.free(cap(t.bytes))
	buffers.Put(&buffer{t.bytes[:0]})
	t.bytes = nil
}
