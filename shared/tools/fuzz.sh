#!/bin/sh
# fuzz.sh TIME: run every fuzz test for TIME each, and name those that failed.
set -eu
cd "$(dirname "$0")/../.."
said=$(mktemp)
failed=$(mktemp)
trap 'rm -f "$said" "$failed"' EXIT
git ls-files '*_test.go' | xargs grep -H '^func Fuzz' | while IFS=: read -r file line; do
	name=${line#func }
	name=${name%%(*}
	echo "fuzz: $name in ${file%/*}"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "./${file%/*}" >"$said" 2>&1 && continue
	# The runner sometimes takes its own end for a failure (golang.org/issue/75804).
	if grep -q '^ *context deadline exceeded$' "$said" && ! grep -q 'Failing input written' "$said"; then
		continue
	fi
	cat "$said"
	echo "$name in ${file%/*}" >>"$failed"
done
[ ! -s "$failed" ] || {
	echo 'fuzz: these failed:' >&2
	cat "$failed" >&2
	exit 1
}
