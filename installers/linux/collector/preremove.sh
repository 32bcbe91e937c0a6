#!/bin/sh
# Before removing: $1 is "remove" (deb) or 0 (rpm) unless another version follows.
set -e
case $1 in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now --quiet caretaker-collector.service || :
	fi
	;;
esac
