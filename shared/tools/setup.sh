#!/bin/sh
# setup.sh WHAT: install what `make WHAT` needs. On Debian and Ubuntu it
# installs packages; elsewhere it says what will be left out. It never fails a
# run for a package that only some tests need: those tests say so themselves,
# unless CI is set, where a missing piece is an error.
set -eu
what=$1
cd "$(dirname "$0")/../.."

packages() {
	command -v apt-get >/dev/null 2>&1 || {
		echo "setup: this is not Debian; install by hand if you have them: $*"
		[ -z "${CI:-}" ] || exit 1
		return 0
	}
	missing=
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	as=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null 2>&1 || {
			echo "setup: not root and no sudo; install by hand:$missing"
			return 0
		}
		as=sudo
	fi
	echo "setup: installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # the list is meant to be split
	$as apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
		$as apt-get update -qq >/dev/null
		$as apt-get install -y -qq --no-install-recommends $missing >/dev/null
	}
}

# node installs npm unless there is one from elsewhere.
node() {
	command -v npm >/dev/null 2>&1 || packages npm
}

# wine builds a Windows under Wine, once, where that can be done.
wine() {
	bed=shared/e2e/beds/wine-bed.sh
	why=$($bed why)
	[ -z "$why" ] && $bed setup && return
	echo "setup: no Windows under Wine${why:+: $why}; the tests that need one say so and are left out"
	[ -z "${CI:-}" ] || exit 1
}

case $what in
test)
	# gcc for the race detector, a browser for the pages with npm for what looks
	# for barriers on them, cryptsetup for real headers, ClamAV for a real engine,
	# bsdtar as another reader of packages for macOS, swtpm for a TPM.
	packages gcc libc6-dev git make chromium clamav cryptsetup-bin libarchive-tools swtpm
	node
	shared/tools/axe.sh
	;;
beds)
	packages qemu-system-x86 busybox-static cpio kmod cryptsetup-bin dmsetup udev e2fsprogs \
		dosfstools util-linux iproute2 dash xz-utils debootstrap debian-archive-keyring osslsigncode wixl msitools buildah
	wine
	;;
installers)
	packages git make wixl msitools osslsigncode
	;;
container)
	command -v podman >/dev/null 2>&1 || command -v buildah >/dev/null 2>&1 || docker info >/dev/null 2>&1 || packages buildah
	;;
bench)
	# openssl and node_exporter are peers, unshare gives the agent a laptop of
	# its own to look at.
	packages openssl util-linux prometheus-node-exporter
	;;
check)
	packages git make shellcheck
	node
	;;
*)
	echo "setup: no such setup: $what" >&2
	exit 2
	;;
esac
