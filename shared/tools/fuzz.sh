#!/bin/sh
# fuzz.sh TIME: run every fuzz test for TIME each.
set -eu
cd "$(dirname "$0")/../.."
git ls-files '*_test.go' | xargs grep -H '^func Fuzz' | while IFS=: read -r file line; do
	name=${line#func }
	name=${name%%(*}
	echo "fuzz: $name in ${file%/*}"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "./${file%/*}"
done
