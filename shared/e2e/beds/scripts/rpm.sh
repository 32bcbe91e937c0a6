# Both packages for rpm in a guest with systemd, by Debian's rpm with a database of
# its own: put there, enrolled, upgraded and taken away. Prints one line for each
# thing that was seen.
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
			journalctl --no-pager -n 60 || :
			exit 1
		}
		sleep 1
	done
	sees "$what"
}
# makes_token: it says where laptops reach the collector, which is known once it serves.
makes_token() { caretaker-collector token create --uses 2 >/root/token; }
active() { systemctl is-active --quiet "$1"; }
enabled() { systemctl is-enabled --quiet "$1"; }
# Debian's rpm wants to be told that it is meant; what the packages need, systemd,
# dpkg has installed and rpm does not know.
by_rpm() {
	rpm --force-debian --nodeps "$@" >/tmp/rpm 2>&1 || { cat /tmp/rpm; exit 1; }
	# A script that fails is a warning, and not an exit status, of some of them.
	not grep -i -E 'scriptlet|failed|error' /tmp/rpm
}
# contact: when the one device on the collector's list was last heard.
contact() { caretaker-collector device list --json | sed -nE 's/.*"lastContact": *"([^"]+)".*/\1/p'; }
# heard SINCE: it was heard after that.
heard() {
	last=$(contact)
	[ -n "$last" ] && [ "$last" != "$1" ]
}
holds() { # NAME: each file is as the package says: owner, mode and bytes
	rpm -V --nodeps "$1"
	rpm -q --qf '[%{FILENAMES} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:perms}\n]' "$1"
}
gone() { # NAME, and the folder that may stay
	not rpm -q "$1" >/dev/null
	left=$(find / -xdev \( -path /proc -o -path /bed -o -path /root -o -path "$2" \) -prune -o -name "*$1*" -print)
	[ -z "$left" ] || {
		echo "erased, it left: $left"
		exit 1
	}
	left="$(systemctl list-unit-files --no-legend "$1*")$(systemctl list-units --all --no-legend "$1*")"
	[ -z "$left" ] || {
		echo "systemd knows still: $left"
		exit 1
	}
}

echo "127.0.1.1 $(hostname)" >>/etc/hosts

by_rpm -i caretaker-collector-1.0.0-*.rpm
within 300 'the collector runs' active caretaker-collector
holds caretaker-collector
[ "$(stat -c %U:%a /var/lib/caretaker-collector)" = caretaker-collector:700 ]
within 300 'a school' caretaker-collector init --school 'Hollybank Primary School'
within 300 'a token' makes_token
token=$(cat /root/token)

by_rpm -i caretaker-agent-1.0.0-*.rpm
holds caretaker-agent >/tmp/files
cat /tmp/files
[ "$(cut -d ' ' -f 2 /tmp/files | sort -u)" = root:root ]
[ "$(stat -c %a /usr/sbin/caretaker-agent)" = 755 ]
[ -z "$(cut -d ' ' -f 3 /tmp/files | grep -v -e '^-rwxr-xr-x$' -e '^-rw-r--r--$' -e '^drwxr-xr-x$' || :)" ]
sees 'files, owners and modes are as they are meant'
not active caretaker-agent
active caretaker-agent.path
enabled caretaker-agent.path
enabled caretaker-agent.service
echo "$token" | caretaker-agent enroll --token -
within 300 'the agent is heard' heard 0001-01-01T00:00:00Z
sha256sum $state/identity.json >/root/identity

contact=$(contact)
echo '# the school wrote this' >>/etc/caretaker-collector.conf
by_rpm -U caretaker-agent-1.1.0-*.rpm caretaker-collector-1.1.0-*.rpm
[ "$(caretaker-agent --version)" = 'caretaker-agent version v1.1.0' ]
[ "$(rpm -qa 'caretaker-*' | wc -l)" = 2 ]
within 300 'upgraded, the agent is heard' heard "$contact"
active caretaker-agent.path
enabled caretaker-agent.service
enabled caretaker-collector.service
sha256sum --quiet -c /root/identity
grep -q 'the school wrote this' /etc/caretaker-collector.conf
sees 'it is who it was, and the settings are what they were'

by_rpm -e caretaker-agent
not active caretaker-agent
not active caretaker-agent.path
[ -e $state/identity.json ]
gone caretaker-agent $state
sees 'erased, it leaves who it was, and nothing else'
contact=$(contact)
by_rpm -i caretaker-agent-1.1.0-*.rpm
within 300 'installed again it is heard' heard "$contact"
sha256sum --quiet -c /root/identity
by_rpm -e caretaker-agent
rm -r $state
gone caretaker-agent /none
sees 'with its state folder gone, nothing is left'
by_rpm -e caretaker-collector
[ -d /var/lib/caretaker-collector/schools ]
sees "the school's record outlives the package"
