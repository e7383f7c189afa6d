#!/bin/sh
# Tells what curl hears on an event stream, an event's data a line. The arguments
# are the ID to go on from, and curl's own. It needs a directory to work in.
id=$1
shift
mkfifo lines
while :; do
	curl -sN -H 'Accept: text/event-stream' -H "Last-Event-ID: $id" "$@" >lines &
	data='' new=''
	while IFS= read -r line; do
		case $line in
		'id: '*) new=${line#id: } ;;
		'data: '*) data=${line#data: } ;;
		'')
			[ -z "$new" ] || id=$new
			[ -z "$data" ] || printf '%s\n' "$data"
			data='' new=''
			;;
		esac
	done <lines
	sleep 0.1
done
