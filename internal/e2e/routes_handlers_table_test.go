package e2e

// throughHandlers are [passes] through routes with other handlers.
var throughHandlers = []passes{
	{
		name: "header outside",
		route: `
			header +X-Added early
			header +Vary Origin
			header +Set-Cookie outer=1
			header >X-Late late
			header {
				+X-Added late
				-Etag
				?X-Default yes
				defer
			}
			parker /messages
			reverse_proxy {$BACKEND}`,
		poll: poll{header: []string{"Cookie: visit=1; outer=1"}},
		given: fields{
			"X-Added": "early | late", "X-Late": "late", "Etag": "", "X-Default": "yes", "Vary": "Origin | Cookie",
			"Set-Cookie": "outer=1 | visit=1; Path=/",
		},
	},
	{
		name: "header inside",
		route: `
			header +X-Added outside
			parker /messages
			route {
				header +X-Added early
				header -X-Outside
				header >X-Late late
				header {
					+X-Added late
					Cache-Control private
					-Server
					defer
				}
				reverse_proxy {$BACKEND}
			}`,
		given: fields{"X-Added": "outside | early | late", "X-Late": "late", "Cache-Control": "private", "Server": ""},
	},
	{
		name: "encode, gzip",
		route: `
			parker /messages
			encode gzip zstd
			reverse_proxy {$BACKEND}`,
		poll:  poll{header: []string{"Accept-Encoding: gzip"}},
		given: fields{"Content-Encoding": "gzip", "Vary": "Cookie | Accept-Encoding", ":body": news, "Etag": `"v2-gzip"`},
	},
	{
		name: "encode outside",
		route: `
			route {
				encode {
					gzip
					minimum_length 1
				}
				parker /messages
				reverse_proxy {$BACKEND}
			}`,
		poll:  poll{header: []string{"Accept-Encoding: gzip"}},
		given: fields{"Content-Encoding": "gzip", ":body": news, "Etag": `"v2-gzip"`},
	},
	{
		name: "basic_auth inside",
		route: `
			parker
			route {
				basic_auth {
					alice {$SECRET}
				}
				reverse_proxy {$BACKEND} {
					header_up X-User {http.auth.user.id}
				}
			}`,
		poll: poll{header: []string{"Authorization: Basic YWxpY2U6c2VjcmV0"}},
		seen: fields{"X-User": "alice"},
	},
	{
		name: "forward_auth inside",
		route: `
			parker /messages
			route {
				forward_auth {$AUTH} {
					uri /check
					copy_headers X-User
				}
				reverse_proxy {$BACKEND}
			}`,
		seen: fields{"X-User": "alice of /messages?since=0", ":path": "/messages?since=0", ":method": "GET"},
	},
	{
		name: "map and vars inside",
		route: `
			vars user nobody
			parker mapped
			route {
				map {query.room} {upstream_room} {
					7       lucky
					default unlucky
				}
				request_header X-Before {vars.user}{vars.fresh}
				vars user {cookie.visit}
				vars fresh yes
				reverse_proxy {$BACKEND} {
					header_up X-Room {upstream_room}
					header_up X-User {vars.user}
				}
			}`,
		poll:    poll{line: "GET /messages?room=7"},
		channel: "mapped",
		seen:    fields{"X-Room": "lucky", "X-User": "1", "X-Before": "nobody"},
	},
	{
		name: "method and Host inside, where a matcher looks at both",
		route: `
			parker /messages
			@poll {
				method GET
				expression {host}.endsWith('.test')
			}
			route @poll {
				method POST
				request_header Host legacy.example
				reverse_proxy {$BACKEND}
			}`,
		seen: fields{":method": "POST", ":authority": "legacy.example"},
	},
	{
		name: "request_body inside",
		route: `
			parker /messages
			route {
				request_body {
					set "since {query.since}"
				}
				reverse_proxy {$BACKEND}
			}`,
		seen: fields{":body": "since 0"},
	},
	{
		name: "intercept",
		route: `
			parker /messages
			intercept {
				@ok status 200
				handle_response @ok {
					header X-Intercepted {http.intercept.header.Etag}
				}
			}
			reverse_proxy {$BACKEND}`,
		given: fields{"X-Intercepted": `"v2"`, ":body": news},
	},
	{
		name: "templates",
		route: `
			parker /messages
			templates
			reverse_proxy {$BACKEND}`,
		poll:  poll{header: []string{"Accept: text/html"}},
		given: fields{":body": "<p>9 letters</p>", "Content-Type": "text/html"},
	},
	{
		name: "a named matcher and several channels",
		route: `
			@poll {
				method GET
				path /messages
				query since=*
			}
			parker @poll rooms/{query.room} users/{cookie.visit}
			reverse_proxy {$BACKEND}`,
		poll:    poll{line: "GET /messages?since=0&room=7"},
		channel: "users/1",
	},
}
