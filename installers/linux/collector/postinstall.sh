#!/bin/sh
# After unpacking: the user it runs as, and the service, which is restarted if it
# ran.
set -e
systemd-sysusers caretaker-collector.conf
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl enable --quiet caretaker-collector.service
	systemctl restart caretaker-collector.service
else
	systemctl enable --quiet caretaker-collector.service 2>/dev/null || :
fi
