#!/bin/sh
# build.sh DIST VERSION: make DIST/caretaker-collector-VERSION-ARCH.oci.tar of the
# program in DIST/linux-ARCH, with podman, buildah or docker, whichever is there.
set -eu
cd "$(dirname "$0")/../../.."
dist=$1
version=$(printf %s "$2" | sed 's/^v//; s/[^A-Za-z0-9._-]/-/g')
mkdir -p "$dist/container/data"
cp /etc/ssl/certs/ca-certificates.crt installers/linux/container/passwd installers/linux/container/group "$dist/container/"
for programs in "$dist"/linux-*; do
	[ -x "$programs/caretaker-collector" ] || continue
	arch=${programs##*/linux-}
	out=$dist/caretaker-collector-$version-$arch.oci.tar
	rm -f "$out"
	set -- --platform "linux/$arch" --build-arg "PROGRAM=linux-$arch/caretaker-collector" \
		--label "org.opencontainers.image.version=$version" --file installers/linux/container/Containerfile
	if command -v podman >/dev/null 2>&1; then
		podman build --quiet --tag "caretaker-collector:$version-$arch" "$@" "$dist"
		podman save --quiet --format oci-archive --output "$out" "caretaker-collector:$version-$arch"
	elif command -v buildah >/dev/null 2>&1; then
		buildah build --quiet --isolation chroot --tag "oci-archive:$out" "$@" "$dist"
	elif docker info >/dev/null 2>&1; then
		docker build --quiet --output "type=oci,dest=$out" "$@" "$dist"
	else
		echo "container: no podman, buildah or docker here; the file that says how is installers/linux/container/Containerfile" >&2
		exit 1
	fi
	echo "$out"
done
