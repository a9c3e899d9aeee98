#!/bin/bash
# strace.sh counts the system calls of a server under 100 streams at once, and
# of one that sends large bodies: about one read and one write for each batch.
# It needs strace and h2load.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'exec 3>&-; wait; rm -rf "$dir"' EXIT
go build -o "$dir/stress" ./bench/stress

# counts PATH H2LOAD-ARGUMENTS...
counts() {
	local path=$1
	shift
	rm -f "$dir/stdin" "$dir/address"
	mkfifo "$dir/stdin"
	# The server ends with its standard input.
	GOMAXPROCS=1 strace -c -f -U calls,errors,name,time,avg-time -S calls -o "$dir/table" \
		"$dir/stress" serve -child <"$dir/stdin" >"$dir/address" &
	exec 3>"$dir/stdin"
	for _ in {1..200}; do
		[[ -s $dir/address ]] && break
		sleep 0.05
	done
	echo "== h2load $* $path"
	timeout 60 h2load "$@" "http://$(<"$dir/address")$path" 3>&- | grep -E 'finished|status codes|traffic'
	exec 3>&-
	wait
	head -n 12 "$dir/table"
	echo
}

counts /hello -n 20000 -c 1 -m 100
counts /64k -n 2000 -c 1 -m 100 -w 30 -W 30
counts /10m -n 20 -c 1 -m 1 -w 30 -W 30
