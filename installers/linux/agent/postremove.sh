#!/bin/sh
# After removing. Debian's purge forgets who this laptop was; a removal, and an
# rpm's, keeps that, so that installing again goes on as the same device.
set -e
if [ "$1" = purge ]; then
	rm -rf /var/lib/caretaker-agent
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
