package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// load sends GET requests over a number of connections and reads the answers. Each
// request has a different URL, so that they do not share asks.
func load(ctx context.Context, url string, requests, connections int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			for j := range requests / connections {
				if err := get(ctx, client, fmt.Sprint(url, "?client=", i, "&since=", j)); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func get(ctx context.Context, client *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s was answered with %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
