#!/bin/sh
# assets.sh: rebuild what the pages are made of from npm. The results are
# committed; only this needs Node.
set -eu
cd "$(dirname "$0")/web"
command -v npm >/dev/null 2>&1 || {
	echo 'assets: Node and npm are needed to rebuild the style sheet' >&2
	exit 1
}
npm ci --ignore-scripts --no-audit --no-fund --omit=optional --silent
node build.mjs
