#!/bin/sh
# check.sh TARGETS: everything that can be said of the code without running it.
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/.tools:$PATH

for t in $1; do
	echo "check: vet and build for $t"
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go vet -tags grpcnotrace ./...
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go vet -tags grpcnotrace,oneplatform ./agent
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go build -tags grpcnotrace,oneplatform -o /dev/null ./agent
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go build -o /dev/null ./collector
done

echo 'check: format and lint'
golangci-lint fmt --diff
golangci-lint run
for os in windows darwin; do
	# What only another system uses is not unused.
	GOOS=$os golangci-lint run --disable unused,unparam
done
shellcheck shared/tools/*.sh installers/*/*.sh installers/linux/*/*.sh .ci/run

echo 'check: generated files are current'
(cd shared/wire && buf lint)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp -r shared/wire "$tmp/wire"
(cd "$tmp/wire" && buf generate)
diff -r shared/wire/wirepb "$tmp/wire/wirepb" || {
	echo 'check: shared/wire/wirepb is not what the .proto files give; run make proto' >&2
	exit 1
}
# What the collector compiles from its own sources, and the list of what is
# collected: tests know whether they are current.
go test -count=1 -run '^(TestCompiledBaselineIsCurrent|TestFieldList|TestRulesAreMapped)$' \
	./collector/rulebook ./shared/wire
# sass needs a newer Node than Debian 12 has.
if command -v npm >/dev/null 2>&1 && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
	shared/tools/axe.sh # the packages of npm; the style sheet comes from the same list
	mkdir -p "$tmp/tree/shared/tools" "$tmp/tree/collector/access"
	cp -r shared/tools/web "$tmp/tree/shared/tools/"
	node "$tmp/tree/shared/tools/web/build.mjs" >/dev/null
	for f in collector/web/assets/caretaker.css collector/web/assets/atkinson-latin.woff2 \
		collector/web/assets/atkinson-latin-ext.woff2 collector/access/common.bin; do
		cmp "$f" "$tmp/tree/$f" || {
			echo "check: $f is not what its sources give; run make assets" >&2
			exit 1
		}
	done
else
	echo 'check: there is no Node 20 or newer: the style sheet is not compared with its sources'
fi
go mod verify >/dev/null
echo 'check: all good'
