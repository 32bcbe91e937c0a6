# What the scripts of both kinds of package share. They are run in a guest, which has
# this beside the packages, and they end at the first thing that is not as it should.
set -eu
cd /bed/in
# What a package put there, not what the bed brought.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/bed/bin

state=/var/lib/caretaker-agent
sees() { echo "seen: $*"; }
# not COMMAND...: a "!" alone would not end the script.
not() {
	if "$@"; then
		echo "it should not have succeeded: $*"
		exit 1
	fi
}
# within SECONDS WHAT COMMAND...: the command succeeds before then.
within() {
	seconds=$1 what=$2
	shift 2
	n=0
	until "$@" >/tmp/within 2>&1; do
		n=$((n + 1))
		[ "$n" -lt "$seconds" ] || {
			echo "not within $seconds s: $what"
			cat /tmp/within
			systemctl status --no-pager -l caretaker-agent.service caretaker-collector.service || :
			journalctl --no-pager -n 60 || :
			caretaker-agent --version || :
			cat $state/programs/record.json || :
			exit 1
		}
		sleep 1
	done
	sees "$what"
}
# makes_token: it says where laptops reach the collector, which is known once it serves.
makes_token() { caretaker-collector token create --uses 2 >/root/token; }
active() { systemctl is-active --quiet "$1"; }
# contact: when the one device on the collector's list was last heard.
contact() { caretaker-collector device list --json | sed -nE 's/.*"lastContact": *"([^"]+)".*/\1/p'; }
# heard SINCE: it was heard after that.
heard() {
	last=$(contact)
	[ -n "$last" ] && [ "$last" != "$1" ]
}
left_nothing() { # NAME, and the folder that may stay
	left=$(find / -xdev \( -path /proc -o -path /bed -o -path /root -o -path "$2" \) -prune -o -name "*$1*" -print)
	[ -z "$left" ] || {
		echo "taken away, it left: $left"
		exit 1
	}
	left="$(systemctl list-unit-files --no-legend "$1*")$(systemctl list-units --all --no-legend "$1*")"
	[ -z "$left" ] || {
		echo "systemd knows still: $left"
		exit 1
	}
}
