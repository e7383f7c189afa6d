package hook

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddy-parker/parker/internal/lot"
)

// The number of entries on a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// channelReport is the answer about one channel.
type channelReport struct {
	lot.ChannelWaiting
	Position string `json:"position"`
}

// channelList is a page of the channels with waiting requests. Next is the value of
// ?after= for the next page, or empty if this is the last one.
type channelList struct {
	Position string               `json:"position"`
	Channels []lot.ChannelWaiting `json:"channels"`
	Next     string               `json:"next,omitempty"`
}

// report answers with the waiting requests of the request's channel, or with a list of
// channels if the request does not name one.
func (h *Hook) report(w http.ResponseWriter, r *http.Request, query url.Values) *Problem {
	if (r.URL.Path == "/" || r.URL.Path == "") && !query.Has("channel") {
		return h.list(w, query)
	}
	channel, refusal := channelOf(r, query)
	if refusal != nil {
		return refusal
	}
	// The position is read before the counts, so that events in between count as news.
	position := h.board.Position()
	writeJSON(w, http.StatusOK, "application/json", channelReport{
		ChannelWaiting: lot.ChannelWaiting{Channel: channel, Waiting: h.board.Waiting(channel)},
		Position:       position.String(),
	})
	return nil
}

// PageOf returns which page of a list a request asks for: ?after=<next>&limit=<number>.
func PageOf(query url.Values) (after string, limit int, refusal *Problem) {
	limit = defaultLimit
	if query.Has("limit") {
		var err error
		limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 || limit > maxLimit {
			return "", 0, refuse(http.StatusBadRequest, fmt.Sprintf("The limit must be a number from 1 to %d.", maxLimit))
		}
	}
	return query.Get("after"), limit, nil
}

// list answers with one page of channels.
func (h *Hook) list(w http.ResponseWriter, query url.Values) *Problem {
	after, limit, refusal := PageOf(query)
	if refusal != nil {
		return refusal
	}
	position := h.board.Position()
	// One channel more shows whether another page follows.
	channels := h.board.WaitingAfter("", after, limit+1)
	page := channelList{Position: position.String(), Channels: channels}
	if len(channels) > limit {
		page.Channels = channels[:limit]
		page.Next = channels[limit-1].Channel
		// RFC 8288; the reference is relative to the request's own URL.
		next := url.Values{"after": {page.Next}, "limit": {strconv.Itoa(limit)}}
		w.Header().Set("Link", "<?"+next.Encode()+`>; rel="next"`)
	}
	if page.Channels == nil {
		page.Channels = []lot.ChannelWaiting{}
	}
	writeJSON(w, http.StatusOK, "application/json", page)
	return nil
}
