package e2e

// forwarded are the fields in which reverse_proxy names the client, once each.
var forwarded = fields{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "Via": "1.1 Caddy"}

// throughRoutes are [passes] through routes that match, rewrite and forward.
var throughRoutes = []passes{
	{
		name: "the smallest",
		route: `
			parker /messages
			reverse_proxy {$BACKEND}`,
		seen: forwarded.and(fields{":method": "GET", ":path": "/messages?since=0", ":authority": "{host}", "X-Forwarded-Host": "{host}"}),
		given: fields{
			":body": news, "Via": "1.1 Caddy", "Set-Cookie": "visit=1; Path=/", "Content-Length": "1204",
			"Vary": "Cookie", "Content-Type": "application/json", "Etag": `"v2"`,
		},
	},
	{
		name: "handles in a handle_path behind",
		route: `
			parker /app/*
			handle_path /app/* {
				handle /other {
					respond "another handle" 404
				}
				handle_path /rooms/* {
					rewrite * /v1{uri}
					reverse_proxy {$BACKEND}
				}
				handle {
					respond "a third handle" 404
				}
			}`,
		poll:    poll{line: "GET /app/rooms/7?since=0"},
		channel: "app/rooms/7",
		seen:    fields{":path": "/v1/7?since=0"},
	},
	{
		name: "route behind",
		route: `
			parker /app/*
			route /app/* {
				uri strip_prefix /app
				request_header +X-Added once
				request_header X-Set {http.request.uri.path}
				request_header -User-Agent
				request_header Accept-Language ^(..).*$ $1
				vars room {query.since}
				header +X-Added answer
				reverse_proxy {$BACKEND} {
					header_up X-Room room-{vars.room}
					header_up +X-Forwarded-For 192.0.2.1
					header_down +X-Down yes
				}
			}`,
		poll:    poll{line: "GET /app/messages?since=0", header: []string{"Accept-Language: de-AT", "X-Added: client"}},
		channel: "app/messages",
		seen: fields{
			":path": "/messages?since=0", "X-Added": "client | once", "X-Set": "/messages", "User-Agent": "", "Accept-Language": "de",
			"X-Room": "room-0",
		},
		given: fields{"X-Added": "answer", "X-Down": "yes"},
	},
	{
		name: "inside a route, between what changes the request",
		route: `
			route {
				request_header +X-Pass before
				vars when before
				parker rooms/{query.room}
				request_header +X-Pass behind
				vars when behind
				rewrite /messages /v2/messages?since=0&when={vars.when}
				reverse_proxy {$BACKEND}
			}`,
		poll:    poll{line: "GET /messages?room=7&since=0"},
		channel: "rooms/7",
		seen:    fields{"X-Pass": "before | behind", ":path": "/v2/messages?since=0&when=behind"},
	},
	{
		name: "inside a route in a handle, handles behind",
		route: `
			handle /app/* {
				route {
					parker
					handle_path /app/messages {
						rewrite * /v2
						reverse_proxy {$BACKEND}
					}
					handle {
						respond "another handle" 404
					}
				}
			}`,
		poll:    poll{line: "GET /app/messages?since=0"},
		channel: "app/messages",
		seen:    fields{":path": "/v2?since=0"},
	},
	{
		name: "rewrites behind",
		route: `
			parker old
			route {
				uri strip_prefix /api
				uri path_regexp /+ /
				uri replace old new
				rewrite /new/* {uri}
				uri query +page 1
				uri query junk>kept
				uri strip_suffix .php
				reverse_proxy {$BACKEND}
			}`,
		poll:    poll{line: "GET /api//old/messages.php?junk=%2F&since=0"},
		channel: "old",
		seen:    fields{":path": "/new/messages?kept=%2F&page=1&since=0"},
	},
	{
		name: "the proxy's own rewriting",
		route: `
			parker /messages
			reverse_proxy {$BACKEND} {
				method POST
				rewrite /rpc?{query}
				header_up Host legacy.test
				header_up -Accept-Language
				header_down -Vary
				header_down Etag v e
			}`,
		seen:  fields{":method": "POST", ":path": "/rpc?since=0", ":authority": "legacy.test", "X-Forwarded-Host": "{host}"},
		given: fields{"Vary": "", "Etag": `"e2"`},
	},
	{
		name: "handle_response of the proxy",
		route: `
			parker /messages
			reverse_proxy {$BACKEND} {
				@ok status 200
				handle_response @ok {
					header X-Length {rp.header.Content-Length}
					copy_response
				}
			}`,
		given: fields{"X-Length": "1204", ":body": news},
	},
}
