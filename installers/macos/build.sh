#!/bin/sh
# build.sh DIST VERSION: make the agent's package in DIST, for every Mac, of
# DIST/darwin-amd64/caretaker-agent and DIST/darwin-arm64/caretaker-agent. Needs Go.
set -eu
cd "$(dirname "$0")/../.."
dist=$1
# The Installer compares three numbers, of which the last counts the commits since a
# release: what git calls v1.2.0-4-gabcdef is 1.2.4 here, and a tree without a
# release 0.0.0.
version=$(printf %s "$2" | sed -nE 's/^v?([0-9]+)\.([0-9]+)(\.([0-9]+))?(-([0-9]+)-.*)?$/\1 \2 \4 \6/p')
# shellcheck disable=SC2086 # the numbers are meant to be split
set -- ${version:-0 0 0}
version=$1.$2.$((${3:-0} + ${4:-0}))
# Packages of one commit are the same, byte by byte.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH="$epoch"

program=$dist/darwin-universal/caretaker-agent
pkg() { env -u GOOS -u GOARCH go run ./installers/macos/pkg "$@"; }
pkg join "$dist/darwin-amd64/caretaker-agent" "$dist/darwin-arm64/caretaker-agent" "$program"
pkg pack "$version" "$program" "$dist/caretaker-agent-$version.pkg"
