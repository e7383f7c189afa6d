package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// written are bodies in several charsets, and the data that a stream must send for
// them.
var written = []struct{ contentType, body, heard string }{
	{"text/plain; charset=ISO-8859-1", "Z\xfcrich", "Zürich"},
	{`text/html; charset="windows-1251"`, "<b>\xcc\xe8\xf0</b>", "<b>Мир</b>"},
	{"text/plain; charset=Shift_JIS", "\x93\xfa\x96\x7b", "日本"},
	{"application/json; charset=utf-16", "\xff\xfe[\x00]\x00 \x001\x00", "[] 1"},
	{"application/json; charset=utf-16", "\xfe\xff\x00[\x00]\x00 \x002", "[] 2"},
	{"text/plain; charset=utf-16le", "a\x00\n\x00b\x00", "a\nb"},
	{"application/json", "\uFEFF{\"a\": 1}", `{"a": 1}`},
	{"text/plain; charset=utf-8", "\uFEFFZürich", "Zürich"},
	{"text/plain; charset=x-of-its-own", "bytes", "bytes"},
}

func TestStreamAndBatchConvertToUTF8(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	url := "http://" + caddy.Site + "/news"
	s := caddytest.Listen(t, url)
	at := s.NextID(t, "")
	for _, w := range written {
		last := caddy.PublishWith(t, "news", w.body, "Content-Type: "+w.contentType).Position
		late := caddytest.Listen(t, url, "Last-Event-ID: "+at)
		for _, s := range []*caddytest.Stream{s, late} {
			hears(t, s, w.heard)
		}
		var missed batch
		g := caddytest.Do(t.Context(), http.MethodGet, url+"?batch=true", "", "Accept: application/json", "Last-Event-ID: "+at)
		if unmarshal(t, g.Body, &missed); len(missed) != 1 || missed[0].Data != w.heard {
			t.Errorf("in a batch, %q in %s is %q", w.body, w.contentType, g.Body)
		}
		// A poll gets the message unchanged.
		if g := caddytest.Do(t.Context(), http.MethodGet, url, "", "Last-Event-ID: "+at); g.Body != w.body || g.Header.Get("Content-Type") != w.contentType {
			t.Errorf("a poll was answered %+v", g)
		}
		at = last
	}
	pages.Put("/news", page(http.StatusOK, written[0].body, "Content-Type: "+written[0].contentType))
	caddy.Publish(t, "news", "", "")
	hears(t, s, written[0].heard)
}

func unmarshal(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
