package hook

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// How many channels a page of the list has.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// channelReport tells who waits on one channel.
type channelReport struct {
	ChannelWaiting
	Position string `json:"position"`
}

// channelList is a page of the channels that anyone waits on. Next is the name to
// give as ?after= for the page behind it, if there is one.
type channelList struct {
	Position string           `json:"position"`
	Channels []ChannelWaiting `json:"channels"`
	Next     string           `json:"next,omitempty"`
}

// report tells who waits on the request's channel, or where it names none, on
// which channels anyone does.
func (h *Hook) report(w http.ResponseWriter, r *http.Request, query url.Values) *Problem {
	if (r.URL.Path == "/" || r.URL.Path == "") && !query.Has("channel") {
		return h.list(w, query)
	}
	channel, refusal := channelOf(r, query)
	if refusal != nil {
		return refusal
	}
	// Noted before the counting: a publish in between then counts as news.
	position := h.board.Position()
	writeJSON(w, http.StatusOK, "application/json", channelReport{
		ChannelWaiting: ChannelWaiting{Channel: channel, Waiting: h.board.Waiting(channel)},
		Position:       position.String(),
	})
	return nil
}

// list answers with one page of channels: ?after=<name>&limit=<number>.
func (h *Hook) list(w http.ResponseWriter, query url.Values) *Problem {
	limit := defaultLimit
	if query.Has("limit") {
		var err error
		limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 || limit > maxLimit {
			return refuse(http.StatusBadRequest, fmt.Sprintf("The limit is a number from 1 to %d.", maxLimit))
		}
	}
	position := h.board.Position()
	// One more than asked for tells whether a page follows.
	channels := h.board.Channels("", query.Get("after"), limit+1)
	page := channelList{Position: position.String(), Channels: channels}
	if len(channels) > limit {
		page.Channels = channels[:limit]
		page.Next = channels[limit-1].Channel
		// RFC 8288; the reference is relative to the request's own URL.
		next := url.Values{"after": {page.Next}, "limit": {strconv.Itoa(limit)}}
		w.Header().Set("Link", "<?"+next.Encode()+`>; rel="next"`)
	}
	if page.Channels == nil {
		page.Channels = []ChannelWaiting{}
	}
	writeJSON(w, http.StatusOK, "application/json", page)
	return nil
}
