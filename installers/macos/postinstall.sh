#!/bin/sh
# The Installer runs this as root when the files are there; $3 is the disk they are
# on. It starts the service and, if a token waits, enrols the Mac with it.
set -eu
agent=/Library/PrivilegedHelperTools/school.caretaker.agent
service=school.caretaker.agent
# Nobody else may look into root's own folder, whatever the file allows.
token=/private/var/root/caretaker-token
identity='/Library/Application Support/Caretaker/identity.json'

# On another disk the service starts with the system there.
case ${3:-/} in / | '') ;; *) exit 0 ;; esac
trap 'rm -f "$token"' EXIT

# What runs is an older version. It is gone a moment after it was told to go.
launchctl bootout "system/$service" 2>/dev/null || :
tries=30
while [ $tries -gt 0 ] && launchctl print "system/$service" >/dev/null 2>&1; do
	tries=$((tries - 1))
	sleep 1
done

status=0
if [ -f "$token" ] && [ ! -e "$identity" ]; then
	"$agent" enroll --later --token - <"$token" || status=$?
fi
launchctl bootstrap system "/Library/LaunchDaemons/$service.plist"
exit $status
