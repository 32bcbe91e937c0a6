#!/bin/sh
# check.sh TARGETS: everything that can be said of the code without running it.
set -eu
cd "$(dirname "$0")/../.."
PATH=$PWD/.tools:$PATH

for t in $1; do
	echo "check: vet and build for $t"
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go vet -tags grpcnotrace ./...
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go build -tags grpcnotrace -o /dev/null ./agent
	GOOS=${t%/*} GOARCH=${t#*/} CGO_ENABLED=0 go build -o /dev/null ./collector
done

echo 'check: format and lint'
golangci-lint fmt --diff
golangci-lint run
shellcheck shared/tools/*.sh .ci/run

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
go mod verify >/dev/null
echo 'check: all good'
