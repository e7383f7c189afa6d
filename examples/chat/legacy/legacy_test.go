package legacy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// post writes a message and returns the answer's status and body.
func post(c *chat, form url.Values) (int, string) {
	r := httptest.NewRequest("POST", "/messages", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func get(c *chat, target string) (int, string) {
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestAPollGetsWhatItHasNotSeen(t *testing.T) {
	c := newChat()
	if _, body := get(c, "/messages"); body != "[]" {
		t.Errorf("a poll of an empty chat is answered %s, want []", body)
	}
	var first, second message
	for i, m := range []*message{&first, &second} {
		status, body := post(c, url.Values{"name": {" Ada "}, "text": {"<b>" + strconv.Itoa(i)}})
		if err := json.Unmarshal([]byte(body), m); status != http.StatusCreated || err != nil {
			t.Fatalf("writing is answered %d %s", status, body)
		}
	}
	if first.Name != "Ada" || first.Text != "<b>0" || second.ID != first.ID+1 {
		t.Errorf("written were %+v and %+v", first, second)
	}
	for since, want := range map[int64][]message{0: {first, second}, first.ID: {second}, second.ID: {}} {
		_, body := get(c, "/messages?since="+strconv.FormatInt(since, 10))
		var got []message
		if err := json.Unmarshal([]byte(body), &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("since %d is answered %s, want %v", since, body, want)
		}
	}
}

func TestWhatCannotBeServedIsRefused(t *testing.T) {
	c := newChat()
	for form, want := range map[string]int{
		"text=hello":          http.StatusBadRequest,
		"name=Ada":            http.StatusBadRequest,
		"name=Ada&text=+%0A+": http.StatusBadRequest,
		"name=" + strings.Repeat("x", maxName+1) + "&text=hello": http.StatusBadRequest,
		"name=Ada&text=" + strings.Repeat("x", maxText+1):        http.StatusBadRequest,
		"name=Ada&text=" + strings.Repeat("x", maxBody):          http.StatusRequestEntityTooLarge,
		"name=%zz": http.StatusBadRequest,
	} {
		r := httptest.NewRequest("POST", "/messages", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%.60s is answered %d, want %d", form, w.Code, want)
		}
	}
	if status, _ := get(c, "/messages?since=now"); status != http.StatusBadRequest {
		t.Errorf("since=now is answered %d", status)
	}
	if _, body := get(c, "/messages"); body != "[]" {
		t.Errorf("refused messages were kept: %s", body)
	}
}

func TestOldMessagesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat()
		for range maxMessages + 5 {
			post(c, url.Values{"name": {"Ada"}, "text": {"hello"}})
		}
		var kept []message
		_, body := get(c, "/messages?since=0")
		if err := json.Unmarshal([]byte(body), &kept); err != nil || len(kept) != maxMessages || kept[maxMessages-1].ID != c.lastID {
			t.Errorf("%d messages are kept, want the last %d", len(kept), maxMessages)
		}
	})
}

func TestOneRequestIsServedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat()
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { get(c, "/messages") })
		}
		wg.Wait()
		if took := time.Since(start); took != 20*work {
			t.Errorf("20 requests took %v, want %v", took, 20*work)
		}
	})
}

func TestStatsCountThePollsOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat()
		stats := func() (polls int, lastMinute []int) {
			_, body := get(c, "/stats")
			var answer struct {
				Polls   int
				Seconds []int
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			return answer.Polls, answer.Seconds
		}
		for range 3 {
			get(c, "/messages")
		}
		time.Sleep(10 * time.Second)
		get(c, "/messages")
		polls, seconds := stats()
		if len(seconds) != 60 || polls != 4 || seconds[59] != 1 || seconds[49] != 3 {
			t.Errorf("counted %d polls, by second %v", polls, seconds)
		}
		time.Sleep(55 * time.Second)
		if _, seconds = stats(); seconds[4] != 1 || sum(seconds) != 1 {
			t.Errorf("after 55 s, by second: %v", seconds)
		}
		time.Sleep(time.Hour)
		if polls, seconds = stats(); polls != 4 || sum(seconds) != 0 {
			t.Errorf("after an hour %d polls, by second %v", polls, seconds)
		}
	})
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}
