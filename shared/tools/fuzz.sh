#!/bin/sh
# fuzz.sh TIME: run every fuzz test for TIME each, and name those that failed.
#
# FUZZTOTAL=1h divides that time over all of them instead, building included;
# FUZZ=pattern runs only those whose room or name fits. One that fails stops
# none of the others; what it failed on lies in its room's testdata/fuzz.
set -eu
cd "$(dirname "$0")/../.."

# seconds turns 90, 45s, 30m, 1h or 1h30m into seconds.
seconds() {
	echo "$1" | sed -n 's/^[0-9][0-9]*$/&s/; s/h/*3600+/; s/m/*60+/; s/s/+/; /^[0-9*+]*$/s/$/0/p'
}

total=0
if [ -n "${FUZZTOTAL:-}" ]; then
	[ -n "$(seconds "$FUZZTOTAL")" ] || {
		echo "fuzz: FUZZTOTAL=$FUZZTOTAL is no time such as 1h, 30m or 1h30m" >&2
		exit 2
	}
	total=$(($(seconds "$FUZZTOTAL")))
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files '*_test.go' | xargs grep -H '^func Fuzz' |
	sed 's|^\(.*\)/[^/]*:func \(Fuzz[A-Za-z0-9_]*\)(.*|\1 \2|' | grep -E "${FUZZ:-.}" >"$work/all" || {
	echo "fuzz: no fuzz test fits FUZZ=${FUZZ:-}" >&2
	exit 2
}
count=$(wc -l <"$work/all")
count=$((count))
began=$(date +%s)
: >"$work/failed"
n=0
while read -r room name; do
	each=${1:-10s}
	left=''
	if [ "$total" -gt 0 ]; then
		rest=$((began + total - $(date +%s)))
		each=$((rest / (count - n)))
		[ "$each" -ge 1 ] || each=1
		each=${each}s
		left=", $((rest / 60)) min left"
	fi
	n=$((n + 1))
	echo "fuzz: $n of $count, $name in $room for $each, $(($(wc -l <"$work/failed"))) failed$left"
	# What is found is made smaller for a second and not for a minute: where
	# coverage differs from run to run, that would take all the time.
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" -fuzzminimizetime 1s "./$room" >"$work/said" 2>&1 </dev/null && continue
	# The runner sometimes takes its own end for a failure (golang.org/issue/75804).
	if grep -q '^ *context deadline exceeded$' "$work/said" && ! grep -q 'Failing input written' "$work/said"; then
		continue
	fi
	cat "$work/said"
	echo "$name in $room" >>"$work/failed"
done <"$work/all"
[ ! -s "$work/failed" ] || {
	echo 'fuzz: these failed:' >&2
	cat "$work/failed" >&2
	exit 1
}
echo "fuzz: all $count held, in $((($(date +%s) - began) / 60)) min"
