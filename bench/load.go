package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
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

// publishBatch publishes messages over a number of connections. It writes the requests
// itself, as [http.Client] would take more processor time than the server.
func publishBatch(ctx context.Context, hook, channel string, publishes, connections int) error {
	request := fmt.Appendf(nil, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", channel, hook, len(message), message)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			if err := repeat(ctx, hook, request, publishes/connections); err != nil {
				cancel(fmt.Errorf("publishing: %w", err))
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// repeat sends a request a number of times over a connection of its own.
func repeat(ctx context.Context, address string, request []byte, times int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := bufio.NewReader(conn)
	for range times {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the server answered %s", answer.Status)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
	}
	return nil
}
