#!/bin/sh
# After removing. The ledger is the school's evidence: no removal and no purge
# takes it away. Whoever wants that deletes /var/lib/caretaker-collector.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
