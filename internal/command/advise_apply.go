package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/trial"
)

// try serves the site with the advice in force, and shows what that brings.
func (a *advising) try(ctx context.Context, report advise.Report, site advise.Site) error {
	site.WithoutHook = true
	advice := advise.Caddyfile(report, site)
	if advice == "" {
		return a.quit(func() {})
	}
	direct := a.directly()
	config, err := adapted(a.options() + advice + direct.site)
	if err != nil {
		return err
	}
	if config, err = withTrial(config, direct.socket); err != nil {
		return err
	}
	comparing := trial.New(report, direct)
	comparing.Begin()
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	head := fmt.Sprintf("The advice is in force on %s. Go on using the application; Ctrl-C ends it.", a.listening())
	fmt.Fprintln(a.stderr, head)
	a.watch(ctx, 0, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n\n", head)
		comparison(w, comparing.Figures())
	})
	return a.quit(func() {
		comparing.Wait()
		comparison(a.stderr, comparing.Figures())
	})
}

// withTrial returns a configuration with the handlers of a trial in front of each server but
// that on the socket, and in front of each reverse_proxy there.
func withTrial(config []byte, socket string) ([]byte, error) {
	var parsed map[string]any
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, err
	}
	servers := parsed["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
	for _, server := range servers {
		server := server.(map[string]any)
		if strings.HasSuffix(server["listen"].([]any)[0].(string), socket) {
			continue
		}
		routes := server["routes"].([]any)
		insertBackend(routes)
		front := map[string]any{"handle": []any{map[string]any{"handler": "parker_trial"}}}
		server["routes"] = append([]any{front}, routes...)
	}
	return json.Marshal(parsed)
}

// insertBackend puts the handler of a trial in front of each reverse_proxy in a value.
func insertBackend(value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			insertBackend(element)
		}
	case map[string]any:
		for _, member := range value {
			insertBackend(member)
		}
		handlers, _ := value["handle"].([]any)
		for i, handler := range handlers {
			if object, ok := handler.(map[string]any); ok && object["handler"] == "reverse_proxy" {
				backend := map[string]any{"handler": "parker_trial", "backend": true}
				value["handle"] = append(append(append([]any{}, handlers[:i]...), backend), handlers[i:]...)
				return
			}
		}
	}
}

// comparison writes the figures of a trial as a table.
func comparison(w io.Writer, figures []trial.Figures) {
	const row = "  %-44s %7s %12s %9s %8s   %s\n"
	fmt.Fprintf(w, row, "polls", "parked", "asks before", "asks now", "spared", "news")
	for _, f := range figures {
		fmt.Fprintf(w, row, shortened(f.Poll, 44), comma(f.Parked), comma(f.Expected), comma(f.Asks), percent(max(f.Expected-f.Asks, 0), f.Expected), newsOf(f))
	}
}

// newsOf says how soon news came to the compared polls.
func newsOf(f trial.Figures) string {
	if !f.Compared {
		return "not compared: a second request could change something"
	}
	if f.News+f.Later == 0 {
		return "none compared yet"
	}
	text := fmt.Sprintf("%d compared, %v sooner on average", f.News, f.Sooner.Round(10*time.Millisecond))
	if f.Later > 0 {
		return text + fmt.Sprintf("; %d LATER than without parker, by up to %v", f.Later, f.Latest.Round(10*time.Millisecond))
	}
	return text + ", none later"
}
