#!/bin/sh
# run.sh DIR: a throw-away school in DIR, a collector for it, and this machine
# as its one laptop. Ctrl-C stops both; the next run finds the school again.
set -eu
dir=$1
bin=$(dirname "$0")/../../bin
collector=$bin/caretaker-collector
agent=$bin/caretaker-agent
school='Hollybank Primary School'

mkdir -p "$dir"
chmod 700 "$dir"
if [ ! -e "$dir/password" ]; then
	rm -rf "$dir/data" "$dir/state"
	"$collector" init --data "$dir/data" --school "$school"
	"$collector" account create --data "$dir/data" --role technician --name technician >"$dir/password.new"
	mv "$dir/password.new" "$dir/password"
fi

collector_pid=
agent_pid=
stop() {
	trap - EXIT INT TERM
	for pid in $agent_pid $collector_pid; do kill "$pid" 2>/dev/null || :; done
	for pid in $agent_pid $collector_pid; do wait "$pid" 2>/dev/null || :; done
	echo "Stopped. \`make run\` goes on where this ended; \`make run-clean\` forgets the school."
}
trap stop EXIT
trap 'exit 0' INT TERM

ready=$dir/ready
: >"$ready"
"$collector" serve --data "$dir/data" --agents 127.0.0.1:"${AGENTS_PORT:-7443}" --web 127.0.0.1:"${WEB_PORT:-8080}" \
	>"$ready" 2>"$dir/collector.log" &
collector_pid=$!
while ! grep -q "^web " "$ready"; do
	kill -0 "$collector_pid" 2>/dev/null || {
		echo 'The collector did not start:' >&2
		tail -n 5 "$dir/collector.log" >&2
		exit 1
	}
	sleep 0.1
done

if [ ! -e "$dir/state/identity.json" ]; then
	token=$("$collector" token create --data "$dir/data" --school "$school")
	"$agent" enroll --state "$dir/state" --token "$token"
fi
"$agent" run --state "$dir/state" 2>"$dir/agent.log" &
agent_pid=$!

echo
echo "  The page:        $(sed -n 's/^web //p' "$ready")"
echo "  Sign in as:      technician"
echo "  Password:        $(cat "$dir/password")"
echo
echo "  This laptop:     $agent status --state $dir/state"
echo "  Ctrl-C stops both."
[ "$(id -u)" = 0 ] || echo '  Not run as root: what only root can read shows as Not proven.'
wait "$agent_pid"
