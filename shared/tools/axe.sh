#!/bin/sh
# axe.sh: install axe-core, with which the tests look for barriers on the
# pages. Where npm is missing it says so: those tests are then left out, and
# in CI fail.
set -eu
cd "$(dirname "$0")/web"
if [ -f node_modules/axe-core/axe.min.js ] && [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
	exit 0
fi
command -v npm >/dev/null 2>&1 || {
	echo 'setup: npm is not installed: the pages will not be tested with axe-core'
	[ -z "${CI:-}" ] || exit 1
	exit 0
}
npm ci --ignore-scripts --no-audit --no-fund --omit=optional --silent || {
	echo 'setup: axe-core could not be fetched with npm: the pages will not be tested with it'
	[ -z "${CI:-}" ] || exit 1
}
