package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// event is the file of an event in a calendar.
const event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:%[1]s\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260101T000000Z\r\nSUMMARY:%[1]s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestRecipeForDAVHoldsSynchronization(t *testing.T) {
	t.Parallel()
	recipe := readRecipe(t, "dav")
	caddytest.Need(t, "curl is missing: install curl.", "curl")
	hook := filepath.Join(t.TempDir(), "publish")
	writeProgram(t, hook, "#!/bin/sh\n")
	address := startRadicale(t, hook)
	radicale := count(t, address)
	caddy := caddytest.Start(t, recipe.caddyfile("127.0.0.1:5232", "{$BACKEND}"), radicale.address)
	_, command, _ := strings.Cut(recipe.block("ini", 0, "127.0.0.1:9080", caddy.Hook, "%(user)s", "$1"), "hook = ")
	user := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ada:secret"))
	calendar := "http://" + caddy.Site + "/ada/calendar/"
	do := func(method, url, body string, header ...string) caddytest.Answer {
		return caddytest.Do(t.Context(), method, url, body, append(header, user, "User-Agent: Calendar/1.0")...)
	}
	add := func(site, name string) {
		t.Helper()
		if added := do(http.MethodPut, "http://"+site+"/ada/calendar/"+name+".ics", fmt.Sprintf(event, name), "Content-Type: text/calendar"); added.Status != http.StatusCreated {
			t.Fatalf("the new event was answered %+v", added)
		}
	}
	if made := do("MKCALENDAR", calendar, ""); made.Status != http.StatusCreated {
		t.Fatalf("the new calendar was answered %+v", made)
	}

	later := func(method, body string) <-chan caddytest.Answer {
		answered := make(chan caddytest.Answer, 1)
		go func() {
			answered <- do(method, calendar, `<?xml version="1.0" encoding="utf-8"?>`+body, "Depth: 0", "Content-Type: application/xml; charset=utf-8")
		}()
		return answered
	}
	token := ""
	report := func() <-chan caddytest.Answer {
		return later("REPORT", `<sync-collection xmlns="DAV:"><sync-token>`+token+`</sync-token><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>`)
	}
	find := func() <-chan caddytest.Answer {
		return later("PROPFIND", `<propfind xmlns="DAV:" xmlns:cs="http://calendarserver.org/ns/"><prop><cs:getctag/></prop></propfind>`)
	}
	learn := func(answer caddytest.Answer, event string) {
		t.Helper()
		_, token, _ = strings.Cut(answer.Body, "<sync-token>")
		token, _, _ = strings.Cut(token, "</sync-token>")
		if answer.Status != http.StatusMultiStatus || token == "" || !strings.Contains(answer.Body, event+".ics") {
			t.Fatalf("the synchronization was answered %+v", answer)
		}
	}

	// The first synchronization of a client is not held.
	isPassed(t, <-report(), "sync-token")
	add(caddy.Site, "first")
	first := <-report()
	isPassed(t, first, "first.ics")
	learn(first, "first")
	isNews(t, <-find(), "getctag")
	reported, found := report(), find()
	caddy.AwaitWaiting(t, "ada", 2)
	add(caddy.Site, "second")
	second := answerIn(t, reported)
	isReleased(t, second, "second.ics")
	learn(second, "second")
	isReleased(t, answerIn(t, found), "getctag")
	t.Logf("%d reports and %d searches reached Radicale", radicale.with("sync-collection"), radicale.with("getctag"))

	// A write past the proxy is published by Radicale's hook.
	writeProgram(t, hook, "#!/bin/sh\n"+command)
	reported = report()
	caddy.AwaitWaiting(t, "ada", 1)
	add(address, "third")
	isReleased(t, answerIn(t, reported), "third.ics")

	// What a client asks for after a change is not held, however often.
	for range 2 {
		isPassed(t, <-later("REPORT", `<c:calendar-multiget xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><prop><c:calendar-data/></prop><href>/ada/calendar/second.ics</href></c:calendar-multiget>`), "SUMMARY:second")
	}
}
