# Both packages in one guest with systemd: from a bare machine to the first
# report on the collector's list, then upgraded, removed, installed again and
# purged. Prints one line for each thing that was seen.
set -eu
cd /bed/in

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
			exit 1
		}
		sleep 1
	done
	sees "$what"
}
active() { systemctl is-active --quiet "$1"; }
reports() {
	caretaker-collector device list --json >/tmp/devices
	grep -q '"lastReport": *[1-9]' /tmp/devices
}

# Nobody names the guest otherwise.
echo "127.0.1.1 $(hostname)" >>/etc/hosts

dpkg -i caretaker-collector_*.deb
within 300 'the collector runs' active caretaker-collector
[ "$(stat -c %U:%a /var/lib/caretaker-collector)" = caretaker-collector:700 ]
[ "$(ps -o user= -C caretaker-collec | sort -u)" = caretaker-collector ] || [ "$(stat -c %U "/proc/$(systemctl show -P MainPID caretaker-collector)")" = caretaker-collector ]
sees 'it is a user of its own'
# A command finds a collector that is about to start, and waits some seconds for it:
# here that may take longer.
within 300 'a school' caretaker-collector init --school 'Hollybank Primary School'
token=$(caretaker-collector token create --uses 2)
sees 'a token'

dpkg -i caretaker-agent_*.deb
not active caretaker-agent
active caretaker-agent.path
sees 'the agent waits for its enrolment'
echo "$token" | caretaker-agent enroll --token -
start=$(cut -d. -f1 /proc/uptime)
within 300 'the first report is on the list' reports
echo "after: $(($(cut -d. -f1 /proc/uptime) - start)) s"
cp /tmp/devices /bed/out/devices.json
caretaker-agent status
[ "$(stat -c %U:%a /var/lib/caretaker-agent)" = root:711 ]
systemd-analyze security --no-pager caretaker-agent.service caretaker-collector.service | tail -n 3 || :
caretaker-collector device show "$(hostname)" --json >/bed/out/device.json
systemctl show -P MemoryCurrent caretaker-agent >/bed/out/memory
not grep -rq "$token" /var/lib/caretaker-agent /var/log /etc
journalctl --no-pager | not grep -q "$token"
sees 'the token is nowhere on the laptop'

# The unit takes nothing from what the agent can tell: unconfined it says the same.
unproven() { grep -o '[A-Z][A-Z]*-[0-9][0-9]*' | sort -u | paste -s -d ' ' -; }
confined=$(caretaker-agent status | grep 'Not proven:.*(' | unproven)
unconfined=$(caretaker-agent check --state /var/lib/caretaker-agent 2>/dev/null | sed -n '/^Not proven/,/^Met/p' | unproven)
[ "$confined" = "$unconfined" ] || {
	echo "not proven as a service: $confined; as root: $unconfined"
	exit 1
}
sees "not proven are $confined, as without the unit's walls"

before=$(sha256sum /var/lib/caretaker-agent/identity.json)
dpkg -i caretaker-agent_*.deb
within 300 'it runs after an upgrade' active caretaker-agent
[ "$(sha256sum /var/lib/caretaker-agent/identity.json)" = "$before" ]
sees 'it is who it was'

su -s /bin/sh nobody -c 'systemctl stop caretaker-agent' 2>/dev/null && exit 1
su -s /bin/sh nobody -c 'ls /var/lib/caretaker-agent' 2>/dev/null && exit 1
su -s /bin/sh nobody -c 'caretaker-agent status' | grep -q Hollybank
sees 'a user who is nobody reads what is checked, and stops nothing'

dpkg -r caretaker-agent
not active caretaker-agent
not active caretaker-agent.path
[ -e /var/lib/caretaker-agent/identity.json ]
dpkg -i caretaker-agent_*.deb
within 300 'installed again it goes on as the same device' active caretaker-agent
dpkg -P caretaker-agent
left=$(find / -xdev -path /proc -prune -o -name '*caretaker-agent*' ! -path '/bed/*' ! -path '/var/log/*' -print)
[ -z "$left" ] || {
	echo "purged, it left: $left"
	exit 1
}
sees 'purged, it leaves nothing'
dpkg -P caretaker-collector
[ -d /var/lib/caretaker-collector/schools ]
sees "the school's record outlives the package"
