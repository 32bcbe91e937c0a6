# Both packages for rpm in a guest with systemd, by Debian's rpm with a database of
# its own: put there, enrolled, upgraded and taken away. Prints one line for each
# thing that was seen.
. /bed/in/packages.sh

enabled() { systemctl is-enabled --quiet "$1"; }
# Debian's rpm wants to be told that it is meant; what the packages need, systemd,
# dpkg has installed and rpm does not know.
by_rpm() {
	rpm --force-debian --nodeps "$@" >/tmp/rpm 2>&1 || { cat /tmp/rpm; exit 1; }
	# A script that fails is a warning, and not an exit status, of some of them.
	not grep -i -E 'scriptlet|failed|error' /tmp/rpm
}
holds() { # NAME: each file is as the package says: owner, mode and bytes
	rpm -V --nodeps "$1"
	rpm -q --qf '[%{FILENAMES} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:perms}\n]' "$1"
}
gone() { # NAME, and the folder that may stay
	not rpm -q "$1" >/dev/null
	left_nothing "$1" "$2"
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
