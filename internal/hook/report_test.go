package hook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/lot"
)

func TestHookReportsWaitingOfChannel(t *testing.T) {
	board := &memoryBoard{waiting: []lot.ChannelWaiting{{Channel: "rooms/7", Waiting: lot.Waiting{Requests: 3, Streams: 2}}}}
	server := serveLoopback(t, board)
	for target, want := range map[string]string{
		"/rooms/7":           `{"channel":"rooms/7","waiting":3,"streams":2,"position":"parker.e-0"}` + "\n",
		"/?channel=rooms/7":  `{"channel":"rooms/7","waiting":3,"streams":2,"position":"parker.e-0"}` + "\n",
		"/nobody":            `{"channel":"nobody","waiting":0,"streams":0,"position":"parker.e-0"}` + "\n",
		"/a%3Cb?after=other": `{"channel":"a<b","waiting":0,"streams":0,"position":"parker.e-0"}` + "\n",
	} {
		response, body := call(t, http.DefaultClient, "GET", server+target, "")
		if response.StatusCode != 200 || body != want {
			t.Errorf("GET %s: status %d, %s, want %s", target, response.StatusCode, body, want)
		}
		if got := response.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("GET %s has Content-Type %q", target, got)
		}
		checkCommon(t, response.Header)
	}
	if len(board.published()) != 0 {
		t.Error("a report published")
	}
}

func TestHookAnswersHEADWithoutBody(t *testing.T) {
	server := serveLoopback(t, &memoryBoard{})
	for _, target := range []string{"/", "/a", "/?limit=0"} {
		get, _ := call(t, http.DefaultClient, "GET", server+target, "")
		head, body := call(t, http.DefaultClient, "HEAD", server+target, "")
		if head.StatusCode != get.StatusCode || body != "" || head.ContentLength != get.ContentLength {
			t.Errorf("HEAD %s: status %d, length %d, body %q; GET: %d, %d", target, head.StatusCode, head.ContentLength, body, get.StatusCode, get.ContentLength)
		}
	}
}

func TestHookListsNoChannelsAsEmptyArray(t *testing.T) {
	_, body := call(t, http.DefaultClient, "GET", serveLoopback(t, &memoryBoard{})+"/", "")
	if want := `{"position":"parker.e-0","channels":[]}` + "\n"; body != want {
		t.Errorf("the list is %s, want %s", body, want)
	}
}

func TestHookListPagesNameEachChannelOnce(t *testing.T) {
	names := []string{" ", "&after=x", "a", "a>b", "b;c", "rooms/7", "Zürich", "ü"}
	slices.Sort(names)
	board := &memoryBoard{}
	for i, name := range names {
		board.waiting = append(board.waiting, lot.ChannelWaiting{Channel: name, Waiting: lot.Waiting{Requests: i, Streams: 1}})
	}
	for _, limit := range []string{"", "?limit=1", "?limit=3", "?limit=8", "?limit=1000"} {
		page, err := url.Parse(serveLoopback(t, board) + "/" + limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []lot.ChannelWaiting
		for page != nil {
			response, body := call(t, http.DefaultClient, "GET", page.String(), "")
			var list channelList
			if err := json.Unmarshal([]byte(body), &list); err != nil || response.StatusCode != 200 {
				t.Fatalf("GET %s: status %d, %s: %v", page, response.StatusCode, body, err)
			}
			got = append(got, list.Channels...)
			page = nextPage(t, page, response.Header.Get("Link"), list.Next)
		}
		if !slices.Equal(got, board.waiting) {
			t.Errorf("%q: following the list gives %v, want %v", limit, got, board.waiting)
		}
	}
}

// nextPage is what a Link field points to, nil where there is none; it must name
// the channel that next names.
func nextPage(t *testing.T, page *url.URL, link, next string) *url.URL {
	t.Helper()
	if link == "" && next == "" {
		return nil
	}
	reference, found := strings.CutSuffix(link, `>; rel="next"`)
	if !found || reference[0] != '<' {
		t.Fatalf("Link: %s", link)
	}
	following, err := page.Parse(reference[1:])
	if err != nil {
		t.Fatal(err)
	}
	if following.Query().Get("after") != next {
		t.Fatalf("Link: %s, but next is %q", link, next)
	}
	return following
}
