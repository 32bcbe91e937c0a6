# Both packages for Debian in one guest with systemd: from a bare machine to the
# first report on the collector's list, restarted, updated by a release, upgraded
# under it and over it, removed, installed again and purged. Prints one line for
# each thing that was seen.
. /bed/in/packages.sh

id() { caretaker-collector device list --json | sed -nE 's/.*"id": *"([^"]+)".*/\1/p'; }
reports() {
	caretaker-collector device list --json >/tmp/devices
	grep -q '"lastReport": *[1-9]' /tmp/devices
}
# on VERSION: the agent that runs is of that version, whichever is installed.
on() {
	caretaker-agent status --json >/tmp/status
	grep -q '"connected": true' /tmp/status || return 1
	if grep -q '"runs"' /tmp/status; then grep -q "\"runs\": \"$1\"" /tmp/status; else grep -q "\"version\": \"$1\"" /tmp/status; fi
}
installed() { caretaker-agent --version | grep -x "caretaker-agent version $1"; }
kept() { [ "$(cat $state/programs/record.json)" = "{\"current\":\"$1\"}" ]; }
same() { [ "$(id)" = "$(cat /root/device)" ]; }
purged() { # NAME, and the folder that may stay
	left_nothing "$1" "$2"
	not dpkg-query -W "$1"
}

if [ "$BED_BOOT" = 1 ]; then

# Nobody names the guest otherwise.
echo "127.0.1.1 $(hostname)" >>/etc/hosts

dpkg -i caretaker-collector_1.0.0_*.deb
within 60 'the collector runs' active caretaker-collector
[ "$(stat -c %U:%a /var/lib/caretaker-collector)" = caretaker-collector:700 ]
[ "$(ps -o user= -C caretaker-collec | sort -u)" = caretaker-collector ] || [ "$(stat -c %U "/proc/$(systemctl show -P MainPID caretaker-collector)")" = caretaker-collector ]
sees 'it is a user of its own'
# A command finds a collector that is about to start, and waits some seconds for it:
# here that may take longer.
within 300 'a school' caretaker-collector init --school 'Hollybank Primary School'
within 300 'a token' makes_token
token=$(cat /root/token)

start=$(cut -d. -f1 /proc/uptime)
dpkg -i caretaker-agent_1.0.0_*.deb
not active caretaker-agent
active caretaker-agent.path
sees 'the agent waits for its enrolment'
echo "$token" | caretaker-agent enroll --token -
within 300 'the first report is on the list' reports
echo "from the installation to the page: $(($(cut -d. -f1 /proc/uptime) - start)) s"
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

id >/root/device
contact >/root/contact
sha256sum $state/identity.json >/root/identity
bed reboot

fi # from here on it is the second boot

within 300 'the collector runs after a restart of the machine' active caretaker-collector
within 300 'so does the agent, by itself' active caretaker-agent
within 300 'and is heard' heard "$(cat /root/contact)"
same
sha256sum --quiet -c /root/identity
sees 'it is the same device'

# A release that the publisher signed comes by the collector, and lies in the
# agent's state from then on.
# Laptops come for it within ten minutes otherwise, so that a school's line is free.
sed -i 's/^OPTIONS=.*/& --update-within 5s/' /etc/caretaker-collector.conf
systemctl restart caretaker-collector
within 300 'the collector runs with what was set' active caretaker-collector
cp -r release /srv/release
chmod -R a+rX /srv/release
caretaker-collector update add /srv/release
caretaker-collector update offer v1.2.0 --share 100
rm -r /srv/release
within 300 'the agent updates itself' on v1.2.0
within 300 'and stays with that' kept v1.2.0
dpkg -i caretaker-agent_1.1.0_*.deb
within 300 'a package that is older than the release does not take it back' on v1.2.0
within 300 'the package is the older one' installed v1.1.0
within 300 'what it runs is kept' kept v1.2.0
dpkg -i caretaker-agent_1.3.0_*.deb
within 300 'a package that is newer takes its place' on v1.3.0
[ ! -e $state/programs/v1.2.0 ]
contact=$(contact)
dpkg -i caretaker-collector_1.1.0_*.deb
within 300 'the collector runs after its own upgrade' active caretaker-collector
within 300 'and hears the agent again' heard "$contact"
same
sha256sum --quiet -c /root/identity
sees 'it is still the same device'

su -s /bin/sh nobody -c 'systemctl stop caretaker-agent' 2>/dev/null && exit 1
su -s /bin/sh nobody -c 'ls /var/lib/caretaker-agent' 2>/dev/null && exit 1
su -s /bin/sh nobody -c 'caretaker-agent status' | grep -q Hollybank
sees 'a user who is nobody reads what is checked, and stops nothing'

dpkg -r caretaker-agent
not active caretaker-agent
not active caretaker-agent.path
[ -e /var/lib/caretaker-agent/identity.json ]
contact=$(contact)
dpkg -i caretaker-agent_1.3.0_*.deb
within 300 'installed again it is heard' heard "$contact"
same
sees 'it goes on as the same device'
dpkg -P caretaker-agent
purged caretaker-agent /var/lib/caretaker-collector
sees 'purged, it leaves nothing'
dpkg -P caretaker-collector
purged caretaker-collector /var/lib/caretaker-collector
[ -d /var/lib/caretaker-collector/schools ]
[ "$(stat -c %U:%a /var/lib/caretaker-collector)" = caretaker-collector:700 ]
sees "the school's record and its owner outlive the package"
