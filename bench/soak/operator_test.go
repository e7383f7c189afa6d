package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// site is what Caddy serves. What stands in capital letters is put in.
const site = `{
	{$GLOBAL}
	parker {
		history HISTORY
		max_parked MAX_PARKED
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	SITE_OPTIONS
	respond /probe "here"
	@written {
		method POST
		not query announce=*
	}
	parker_notify @written
	@asked path /rooms/* /inbox
	parker @asked {
		OPTIONS
		ASKED_MORE
	}
	parker /asked/* feed/{path.1} {
		OPTIONS
		ASKED_MORE
	}
	parker /feed/* {
		hold messages
		OPTIONS
	}
	reverse_proxy UPSTREAM
}
http://{$HOOK} {
	parker_publish
}
`

// plain is the configuration in which Caddy begins and ends. It remembers nearly
// nothing, so that what Caddy holds then can be compared.
func (s *soak) plain() string {
	return strings.NewReplacer("HISTORY", "1 1s", "MAX_PARKED", "100000", "SITE_OPTIONS", "", "OPTIONS", "", "ASKED_MORE", "", "UPSTREAM", s.backend.addresses[0]).Replace(site)
}

// any is a configuration at random, in which nothing is forgotten that a reader
// still has to hear.
func (s *soak) any() string {
	var siteOptions, options, askedMore strings.Builder
	add := func(to *strings.Builder, lines ...string) { fmt.Fprintln(to, lines[rand.N(len(lines))]) }
	add(&siteOptions, "", "encode", "encode gzip")
	add(&siteOptions, "", "log {\n output discard\n}")
	add(&siteOptions, "", "header X-Generation new")
	fmt.Fprintf(&options, "timeout %ds\n", 5+rand.N(20))
	add(&options, "", "spread 20ms")
	add(&askedMore, "", "reuse 50ms")
	add(&askedMore, "", "watch 2s")
	add(&askedMore, "", "asks 4")
	fmt.Fprintf(&options, "sse {\n heartbeat %ds\n queue %d 10MB\n retry 100ms\n max_age %ds\n}\n", 1+rand.N(10), 16+rand.N(64), 5+rand.N(60))
	return strings.NewReplacer(
		"HISTORY", fmt.Sprint(5000+rand.N(10_000), " 1h 100MB"),
		"MAX_PARKED", fmt.Sprint(10_000+rand.N(10_000)),
		"SITE_OPTIONS", siteOptions.String(),
		"OPTIONS", options.String(),
		"ASKED_MORE", askedMore.String(),
		"UPSTREAM", s.backend.addresses[rand.N(len(s.backend.addresses))],
	).Replace(site)
}

// reload gives Caddy another configuration again and again until the context ends.
func (s *soak) reload(ctx context.Context) {
	for ; ctx.Err() == nil; load.Pause(ctx, 2*time.Second+rand.N(4*time.Second)) {
		s.Reload(func() {
			if err := s.caddy.Load(s.T, s.any()); err != nil {
				s.Breaks("%w", err)
			}
		})
		s.reloads.Add(1)
	}
}

// restart restarts the backend again and again until the context ends.
func (s *soak) restart(ctx context.Context) {
	for load.Pause(ctx, 4*time.Second+rand.N(8*time.Second)); ctx.Err() == nil; load.Pause(ctx, 4*time.Second+rand.N(8*time.Second)) {
		s.backend.restart(s.T, rand.N(time.Second))
		s.restarts.Add(1)
	}
}
