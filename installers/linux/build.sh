#!/bin/sh
# build.sh DIST VERSION: make the deb and rpm packages of both programs in DIST, of
# those that lie in DIST/linux-ARCH; nfpm is in PATH.
set -eu
cd "$(dirname "$0")/../.."
dist=$1
# A package's version begins with a digit and knows no dirt: what git calls
# v1.2.0-4-gabcdef is 1.2.0+4.gabcdef, and a tree without a tag is 0+gabcdef.
VERSION=$(printf %s "$2" | sed -E 's/^v//; s/^([0-9.]+)-([0-9]+)-/\1+\2./; s/^([^0-9])/0+\1/; s/-/./g')
export VERSION
# Packages of one commit are the same, byte by byte.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH="$epoch"
for programs in "$dist"/linux-*; do
	ARCH=${programs##*/linux-}
	export ARCH
	for part in agent collector; do
		PROGRAM=$programs/caretaker-$part
		export PROGRAM
		[ -x "$PROGRAM" ] || continue
		for kind in deb rpm; do
			nfpm package --config "installers/linux/$part/nfpm.yaml" --packager "$kind" --target "$dist/"
		done
	done
done
