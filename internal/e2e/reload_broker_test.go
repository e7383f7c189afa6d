package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// brokerSite returns a site that never has anything new, with the given broker.
func brokerSite(broker string) string {
	return configuration("parker {\n broker "+broker+"\n}", "parker /wait/* {\n timeout 4m\n}\nrespond /wait/* 204", "127.0.0.1:1")
}

// Each channel has a poll and a stream. The next message is published there when both
// have heard the one before, so that no history is needed, which is lost with the broker.
func TestReloadOfBrokerLosesNoEvent(t *testing.T) {
	t.Parallel()
	const channels, rounds = 8, 3
	redis, nats := caddytest.StartRedis(t), caddytest.StartNATS(t)
	all := []string{"memory", fmt.Sprintf(redisOption, redis.Address()), "memory", fmt.Sprintf(natsOption, nats.Address()), fmt.Sprintf(redisOption, redis.Address())}
	caddy := caddytest.Start(t, brokerSite(all[0]), "")
	l := &load.Load{T: t}
	sites := []*caddytest.Client{{Protocol: caddytest.HTTP1, URL: "http://" + caddy.Site, Transport: load.Fresh()}}
	ctx, end := context.WithCancel(t.Context())
	acts := []func(context.Context){func(context.Context) {
		defer end()
		for i := 0; i < rounds*len(all) && !l.Failed(); i++ {
			l.AwaitPublished(l.Published() + channels)
			l.Reload(func() { caddy.MustLoad(t, brokerSite(all[(i+1)%len(all)])) })
		}
	}}
	for i := range channels {
		channel := fmt.Sprint("wait/", i)
		p := &load.Publisher{Load: l, Topic: l.Topic(channel), Hook: "http://" + caddy.Hook + "/" + channel, Transport: load.Fresh()}
		for _, form := range []load.Form{load.Poll, load.Stream} {
			l.Follow(load.Client{Form: form, Sites: sites, Path: "/" + channel, Messages: []*load.Topic{p.Topic}, Anew: true, Stays: true})
		}
		acts = append(acts, func(context.Context) {
			for awaitStreams(t, caddy, channel, 1); ctx.Err() == nil && !l.Failed(); {
				p.Exchange(1)
			}
		})
	}
	l.Start()
	l.Act(time.Hour, acts...)
	l.Finish()
}
