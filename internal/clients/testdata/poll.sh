#!/bin/sh
# Tells what curl is answered by one long-poll after the other, an answer a line.
# The arguments are the site's URL, the ID to go on from, and curl's own. It needs
# a directory to work in.
url=$1 id=$2
shift 2
since=0
while :; do
	if ! curl -sf -D header -o body "$@" "$url/messages?since=$since&last_event_id=$id"; then
		sleep 0.1
		continue
	fi
	new=$(tr -d '\r' <header | sed -n 's/^last-event-id: //Ip')
	if [ -n "$new" ]; then
		id=$new
	else
		since=$((since + $(grep -o '"[^"]*"' body | wc -l)))
	fi
	cat body
	echo
done
