#!/bin/sh
# nightly.sh [FUZZTIME]: everything that is slow and complete, one after the
# other. What fails does not stop the rest; it is named at the end. The times
# are those of two cores.
set -eu
cd "$(dirname "$0")/../.."
fuzztime=${1:-1m}
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

# part NAME TIME WORDS COMMAND...: says what is run and how long it takes, and
# runs it.
part() {
	name=$1 about=$2 words=$3
	shift 3
	began=$(date +%s)
	echo "nightly: $name ($about): $words"
	if "$@"; then how=good; else
		how=FAILED
		echo "  $name: $*" >>"$failed"
	fi
	took=$(($(date +%s) - began))
	echo "nightly: $name: $how after $((took / 60)) min $((took % 60)) s"
}

# asleep: both at once, since nearly all of it is waiting.
asleep() {
	go run ./shared/tools/faults --rounds 1 --stop 12m --faults stop-agent &
	agent=$!
	go run ./shared/tools/faults --rounds 1 --stop 12m --faults stop-collector &
	collector=$!
	status=0
	wait "$agent" || status=1
	wait "$collector" || status=1
	return "$status"
}

part thorough '20 min' 'every test in full: every truncation and every flipped bit of a ledger, every file of an agent damaged' \
	env CARETAKER_THOROUGH=1 go test -count=1 -timeout 3h ./...
part race '1 h' 'with the race detector what make test runs without' \
	go test -race -shuffle=on -count=1 -timeout 3h ./collector/projection ./collector/rulebook ./collector/web ./shared/e2e
part kills '3 min' 'a hundred kills of either side, and of both, in a running exchange' \
	go run ./shared/tools/faults --rounds 100 --faults kill-agent,kill-collector,kill-both
part faults '3 min' 'sixty other faults: cuts in the middle of a message, a slow network, stopped programs, full disks' \
	go run ./shared/tools/faults --rounds 60 --faults cut,slow,stop-agent,stop-collector,full-disk
part asleep '13 min' 'either side stopped for longer than the stream lives without a sign of life' asleep
part resets '15 min' 'twenty resets of a guest in the middle of a school'"'"'s reports, and the other tests in guests' \
	env CARETAKER_BEDS=1 CARETAKER_THOROUGH=1 go test -count=1 -timeout 3h -v ./shared/e2e/beds
part fuzz "$fuzztime for each of $(git ls-files '*_test.go' | xargs cat | grep -c '^func Fuzz')" 'every parser, fed with what it does not expect' \
	shared/tools/fuzz.sh "$fuzztime"

[ ! -s "$failed" ] || {
	echo 'nightly: these failed:' >&2
	cat "$failed" >&2
	exit 1
}
echo 'nightly: all good'
