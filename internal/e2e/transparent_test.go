package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// transparentSite serves one backend on several routes.
const transparentSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	handle_path /plain/* {
		reverse_proxy {$BACKEND}
	}
	handle_path /parker/* {
		parker
		reverse_proxy {$BACKEND}
	}
	handle_path /both/* {
		parker_notify {
			methods GET HEAD OPTIONS POST PUT
		}
		parker
		reverse_proxy {$BACKEND}
	}
	handle_path /observed/* {
		parker_observe
		parker_observe /*
		reverse_proxy {$BACKEND}
	}
	handle_path /polls/* {
		parker {
			methods GET POST PUT
		}
		reverse_proxy {$BACKEND}
	}
}
`

// eachTrial runs each of the trials with each protocol, first on a route without parker
// and then on the others.
func eachTrial(t *testing.T, trials func() []trial, routes ...string) {
	t.Parallel()
	backend := newTrialBackend()
	paths := make(map[caddytest.Protocol][]string)
	for i, protocol := range caddytest.Protocols {
		for j, x := range trials() {
			path := fmt.Sprintf("/%d/%d", i, j)
			backend.trials[path] = x
			paths[protocol] = append(paths[protocol], path)
		}
	}
	caddy := caddytest.StartSecure(t, transparentSite, caddytest.Serve(t, backend.ServeHTTP))
	for protocol, paths := range paths {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			// One context for all trials, so that those held by mistake do not each use
			// it up.
			ctx, cancel := context.WithTimeout(t.Context(), 6*caddytest.Patience)
			defer cancel()
			for _, path := range paths {
				x := backend.trials[path]
				t.Run(x.name, func(t *testing.T) {
					client := caddy.Client(t, protocol)
					want := x.make(ctx, t, client, "/plain"+path) + backend.take(path)
					for _, route := range routes {
						if got := x.make(ctx, t, client, route+path) + backend.take(path); got != want {
							t.Errorf("on %s:\n%s\nwithout parker:\n%s", route, got, want)
						}
					}
				})
			}
		})
	}
}

func TestTransparentNewsPassesUnchanged(t *testing.T) {
	eachTrial(t, newsTrials, "/parker", "/both", "/observed")
}

func TestTransparentRequestBodiesPassUnchanged(t *testing.T) {
	eachTrial(t, uploadTrials, "/parker", "/both", "/polls", "/observed")
}

func TestTransparentWriteAnswersAreNotHeld(t *testing.T) {
	eachTrial(t, writeTrials, "/parker", "/both", "/observed")
}

func TestTransparentNothingNewPassesWithWaitZero(t *testing.T) {
	eachTrial(t, nothingNewTrials, "/parker", "/both")
}
