package clients

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

const statusSite = `
http://{$SITE} {
	parker {
		share public
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_status /status {
		token secret
	}
	parker_publish
}`

// statusPage is a browser tab that shows a status page.
type statusPage struct {
	ctx context.Context

	mu       sync.Mutex // guards troubles
	troubles []string   // errors that the browser reported
}

// openStatus opens a page in a colour scheme and signs in.
func openStatus(t *testing.T, browser context.Context, url, scheme string) *statusPage {
	t.Helper()
	ctx, leave := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &statusPage{ctx: ctx}
	messages := chromedp.Console(ctx)
	var hearing sync.WaitGroup
	t.Cleanup(func() {
		leave()
		hearing.Wait()
	})
	hearing.Go(func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.troubles = append(p.troubles, message.String())
			p.mu.Unlock()
		}
	})
	p.do(t, chromedp.EmulateViewport(1180, 1000), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		preference := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{preference}})
		return err
	}), chromedp.Navigate(strings.Replace(url, "://", "://anybody:secret@", 1)))
	return p
}

func (p *statusPage) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, caddytest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// await returns when the text of the page matches the patterns in this order.
func (p *statusPage) await(t *testing.T, patterns ...string) {
	t.Helper()
	all := regexp.MustCompile("(?s)" + strings.Join(patterns, ".*"))
	caddytest.Await(t, fmt.Sprintf("the page says %q", patterns), func() bool {
		text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		if err != nil {
			t.Fatal(err)
		}
		return all.MatchString(text)
	})
}

// picture returns a screenshot of the page.
func (p *statusPage) picture(t *testing.T, name string) image.Image {
	t.Helper()
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), shot, 0o600); err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// brightness returns the brightness of the first pixel, which is the background.
func brightness(picture image.Image) uint32 {
	red, green, blue, _ := picture.At(0, 0).RGBA()
	return (red + green + blue) / 3 >> 8
}

func TestStatusPageUpdatesLiveInLightAndDark(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	legacy := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	caddy := caddytest.Start(t, statusSite, legacy)
	url := "http://" + caddy.Hook + "/status"
	light, dark := openStatus(t, chromium, url, "light"), openStatus(t, chromium, url, "dark")
	light.await(t, "live", "Parked requests", `\n0\s`, "Nobody waits", "broker reachable")

	var polls []<-chan caddytest.Answer
	for i := range 12 {
		polls = append(polls, caddytest.Get(t.Context(), fmt.Sprintf("http://%s/rooms/%%3Cb%%3E%d", caddy.Site, min(i, 3))))
	}
	caddytest.Listen(t, "http://"+caddy.Site+"/rooms/stream")
	for scheme, page := range map[string]*statusPage{"light": light, "dark": dark} {
		page.await(t, "live", "Parked requests", "12", "Open streams", "1", "Busiest channels", "rooms/<b>3", "9", "rooms/<b>0", "1", "broker reachable")
		// Nobody asks while they wait, so each second makes this greater.
		page.await(t, "Waiting time for each ask", `\n[1-9][\d.]* s\s+on average`, "spared by sharing")
		if bright := brightness(page.picture(t, scheme)) > 128; bright != (scheme == "light") {
			t.Errorf("%s: the background is bright: %v", scheme, bright)
		}
	}
	title, err := chromedp.Run(light.ctx, chromedp.Title())
	if err != nil || title != "13 parked · parker" {
		t.Errorf("the title is %q, %v", title, err)
	}

	resp := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Hook+"/?channel=rooms/%3Cb%3E3", "hello")
	if resp.Status != http.StatusOK {
		t.Fatalf("publishing: %+v", resp)
	}
	<-polls[11]
	light.await(t, "Parked requests", `\n3\s`, "peak 12", "Requests released", "peak [1-9]")

	box, err := chromedp.Run(light.ctx, chromedp.Evaluate[[]float64](`(() => {
		const box = document.querySelector(".chart").getBoundingClientRect();
		return [box.right - 40, box.top + 20];
	})()`))
	if err != nil {
		t.Fatal(err)
	}
	light.do(t, chromedp.MouseEvent("mouseMoved", box[0], box[1]))
	light.await(t, "Parked requests", `\d s ago`)
	light.do(t, chromedp.MouseEvent("mouseMoved", 5, 5))

	caddy.MustLoad(t, strings.Replace(statusSite, "share public", "share public\n\t\ttimeout 30s", 1))
	caddytest.Get(t.Context(), "http://"+caddy.Site+"/new")
	light.await(t, "live", "Parked requests", `\n4\s`, "peak 12", "new")
	for _, page := range []*statusPage{light, dark} {
		page.mu.Lock()
		for _, trouble := range page.troubles {
			if !strings.Contains(trouble, "net::ERR_") { // caused by the stream that ended at the reload
				t.Errorf("the browser reported: %s", trouble)
			}
		}
		page.mu.Unlock()
	}
}

const comparingSite = `
http://{$SITE} {
	parker /jobs {
		nothing_new {
			unchanged
			remember
		}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_status /status {
		token secret
	}
	parker_publish
}`

func TestStatusPageShowsWhatClientsHaveIfAnswersAreCompared(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, comparingSite, caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"queued":3}`) }))
	page := openStatus(t, browser(t), "http://"+caddy.Hook+"/status", "light")
	page.await(t, "live", "Parked requests", "Nobody waits")
	text, err := chromedp.Run(page.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil || strings.Contains(text, "Page loads") || strings.Contains(text, "unchanged") {
		t.Errorf("at the start the page says %q, %v", text, err)
	}

	for i := range 12 {
		client := []string{fmt.Sprint("Cookie: id=", i), "Sec-Fetch-Site: same-origin"}
		first := <-caddytest.Get(t.Context(), "http://"+caddy.Site+"/jobs", client...)
		if i < 8 {
			caddytest.Get(t.Context(), "http://"+caddy.Site+"/jobs", append(client, "If-None-Match: "+first.Header.Get("ETag"))...)
		}
	}
	<-caddytest.Get(t.Context(), "http://"+caddy.Site+"/", "Accept: text/html", "User-Agent: another")
	page.await(t, "live", "Parked requests", `\n8\s`, "Polls held as unchanged", "passed, unknown client", "Page loads", "12 answers remembered", "peak [1-9.]+", "Busiest channels", "jobs")
	page.picture(t, "light")
}
