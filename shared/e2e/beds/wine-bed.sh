#!/usr/bin/env bash
# wine-bed.sh - run Windows programs (64-bit) under Wine 10, for tests.
#
# Wine is that of Debian 13, in a Debian of its own (a chroot), whatever Debian
# the host is: Wine 8 of Debian 12 lacks what Go's programs need, such as
# removing a folder with what is in it. Needs root and debootstrap; no X server.
# What Wine shows of Windows is its registry, services, processes, files and
# some of its interfaces. It has no BitLocker, Security Center or Defender, and
# no rights: whoever asks may do anything.
#
# USAGE  wine-bed.sh COMMAND
#   why               print why the bed cannot be had here, or nothing
#   setup             build it, once: 1 to 5 minutes, 300 MB to fetch, 3 GB of disk
#   up [DIR...]       let it see DIR... at the same paths, read-only, and
#                     BED_SCRATCH; ends what ran before
#   run PROGRAM...    run a Windows program, or one of Wine's (reg, sc, net, taskkill)
#   hold              keep services going, until it is ended: without a program
#                     of a person's Wine stops them after two seconds
#   fresh             give it a new, empty Windows (2 s)
#   down              end every program in it and let go of the folders
#   env BED_WINE      its folder (default /var/cache/caretaker-wine)
#   env BED_SCRATCH   a folder that it may write, at the same path (default: none)
#   env BED_MIRROR    mirror of Debian to build it from
# IN IT
#   The host's network and a system of files of its own: / is Z:\, and C: is
#   /root/windows/drive_c, that is BED_WINE/root/root/windows/drive_c.
#   Variables named BED_*, CARETAKER_* and some of Go's are passed on.
#   go test:  export BED_SCRATCH=/some/empty/folder; wine-bed.sh up /path/of/module
#             GOTMPDIR=$BED_SCRATCH GOOS=windows go test -exec 'wine-bed.sh run' ./...
# OUTPUT
#   What the program prints. Exit status: the program's, modulo 256; 126 if the
#   bed could not be built or entered; 2 usage.
#
# The folders are seen in a mount namespace of the bed's own, so that on the
# host nothing leads from its folder to what it sees: it may simply be removed.
# shellcheck disable=SC2016 # what stands in single quotes is for other shells
set -euo pipefail

bed=${BED_WINE:-/var/cache/caretaker-wine}
root=$bed/root
prefix=/root/windows # of Wine, in the chroot
die() { echo "wine-bed: $*" >&2; exit 126; }

why() {
  [ "$(id -u)" = 0 ] || { echo 'it needs root'; return; }
  [ "$(uname -m)" = x86_64 ] || { echo 'it needs an amd64 machine'; return; }
  local p
  for p in unshare nsenter chroot flock; do
    command -v $p >/dev/null || { echo "there is no $p"; return; }
  done
  [ -e "$root/.ready" ] || command -v debootstrap >/dev/null || { echo 'there is no debootstrap to build it with'; return; }
  unshare --mount true 2>/dev/null || echo 'this system allows no mount namespaces'
}

# build makes the chroot with Wine in it. It is moved into place when whole.
build() {
  local new=$bed/root.new mirror=${BED_MIRROR:-}
  # The host's own mirror if it is Debian's, else the one that debootstrap knows.
  [ -n "$mirror" ] || ! grep -q '^ID=debian' /etc/os-release || ! command -v apt-get >/dev/null ||
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -n 1) || :
  rm -rf "$new" "$root"
  debootstrap --variant=minbase trixie "$new" ${mirror:+"$mirror"} &&
    # Packages are installed with a /proc that ends with them.
    unshare --mount --fork sh -euc '
      mount -t proc proc "$1/proc"
      DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -y --no-install-recommends wine wine64
      chroot "$1" apt-get clean' sh "$new" &&
    rm -rf "$new"/var/lib/apt/lists/* "$new"/usr/share/{doc,man,locale} &&
    touch "$new/.built" && mv "$new" "$root"
}

setup() {
  local w; w=$(why); [ -z "$w" ] || die "$w"
  mkdir -p "$bed"
  exec {lock}>"$bed/lock"; flock "$lock"
  [ ! -e "$root/.ready" ] || return 0
  if [ ! -e "$root/.built" ]; then
    echo 'wine-bed: building a Debian 13 with Wine 10 in it, once; it takes some minutes' >&2
    down
    build >"$bed/build.log" 2>&1 || { tail -n 5 "$bed/build.log" >&2; die 'it could not be built'; }
  fi
  prepare; fresh
  touch "$root/.ready"
}

# prepare makes the namespace: an empty one in which the chroot has /proc and
# /dev. It lives as a file until down.
prepare() {
  mountpoint -q "$bed/ns" && mountpoint -q "$bed/ns/mount" && return
  mkdir -p "$bed/ns"
  mountpoint -q "$bed/ns" || mount -t tmpfs -o size=64k,mode=700 ns "$bed/ns"
  mount --make-private "$bed/ns"
  touch "$bed/ns/mount"
  unshare --mount="$bed/ns/mount" --propagation private sh -euc '
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs -o mode=1777 tmp "$1/tmp"' sh "$root"
}

inside() { nsenter --mount="$bed/ns/mount" "$@"; }

# show DIR OPTION: lets the bed see a folder at the same path.
show() {
  inside sh -euc 'mkdir -p "$2$1"; mount --bind "$1" "$2$1"; mount -o "remount,bind,$3" "$2$1"' sh "$1" "$root" "$2"
}

# The variables that are for a Windows program: its PATH and the like are Wine's.
passed() { env | grep -E '^((BED|CARETAKER)_[A-Z_]*|GO(COVERDIR|MAXPROCS|DEBUG|TRACEBACK|GC|MEMLIMIT)=)' || :; }

wine() { # runs a program in the chroot in the current folder, if that is seen there
  local pass; mapfile -t pass < <(passed)
  exec nsenter --mount="$bed/ns/mount" chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    XDG_RUNTIME_DIR=/tmp WINEPREFIX=$prefix WINEDEBUG="${WINEDEBUG:--all}" WINEDLLOVERRIDES='mscoree,mshtml=' "${pass[@]}" \
    sh -c 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"' sh "$PWD" "$@"
}

# finish ends every program of the bed, Windows' and Wine's.
finish() {
  (wine wineserver -k) 2>/dev/null || :
  (wine wineserver -w) 2>/dev/null || :
}

# fresh copies the Windows that Wine made first: making one takes 12 s.
fresh() {
  finish
  rm -rf "${root:?}$prefix"
  if [ ! -e "$root$prefix.made" ]; then
    (wine wine wineboot --init) >>"$bed/build.log" 2>&1 </dev/null || { tail -n 5 "$bed/build.log" >&2; die 'Wine could not make a Windows'; }
    (wine wineserver -w)
    mv "$root$prefix" "$root$prefix.made"
  fi
  cp -a "$root$prefix.made" "$root$prefix"
}

down() {
  mountpoint -q "$bed/ns" || return 0
  if mountpoint -q "$bed/ns/mount"; then
    finish
    umount "$bed/ns/mount"
  fi
  umount "$bed/ns"
}

need() { [ -e "$root/.ready" ] || die 'it is not built: wine-bed.sh setup'; prepare; }

case ${1:-} in
why) why ;;
setup) setup ;;
up)
  shift; need; down; prepare
  for d; do show "$(readlink -f "$d")" ro; done
  [ -z "${BED_SCRATCH:-}" ] || show "$(readlink -f "$BED_SCRATCH")" rw ;;
run) shift; [ $# -gt 0 ] || die 'run what?'; need; wine wine "$@" ;;
hold) need; wine wine cmd /c 'for /l %i in (0,0,1) do @ping -n 3600 127.0.0.1 >nul' ;;
fresh) need; fresh ;;
down) down ;;
*) sed -n '2,/^# shell/{/^# shell/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac
