# container.sh TREE: run what a container holds as a runtime would, in namespaces
# that are made for this script: the root is read-only, the volume is not, and the
# user is the image's.
set -eu
tree=$1
volume=$tree/var/lib/caretaker-collector
user=7443:7443
sees() { echo "seen: $*"; }
inside() { chroot --userspec="$user" --groups= "$tree" /caretaker-collector "$@"; }

mount --make-rprivate /
mkdir -p "$tree/proc" "$tree/dev"
mount --bind "$tree" "$tree"
mount -t tmpfs -o mode=0755 dev "$tree/dev"
for device in null urandom; do
	: >"$tree/dev/$device"
	mount --bind "/dev/$device" "$tree/dev/$device"
done
mount -t proc proc "$tree/proc"
[ "$(stat -c %u:%g "$volume")" = 7443:7443 ]
mount -t tmpfs -o mode=0700,uid=7443,gid=7443 volume "$volume"
mount -o remount,bind,ro "$tree"
ip link set lo up
[ -z "$(find "$tree" -xdev -perm /6000)" ]
[ "$(find "$tree" -xdev -type f -perm /111)" = "$tree/caretaker-collector" ]
sees 'one program, no shell, no program that gives rights'

(exec chroot --userspec="$user" --groups= "$tree" /caretaker-collector serve >/dev/null 2>&1) &
serving=$!
until [ -S "$volume/console.sock" ]; do # before a command could take the folder for itself
	kill -0 "$serving"
	sleep 0.1
done
inside init --school 'Hollybank Primary School'
[ "$(stat -c %u "$tree/proc/$serving")" = 7443 ]
inside token create --uses 1 >/dev/null
inside status
sees 'it serves as its own user, and answers'
chroot --userspec="$user" "$tree" /caretaker-collector init --school x --data /elsewhere 2>&1 | grep -q 'read-only file system'
sees 'nothing is written beside its volume'
kill "$serving"
wait "$serving"
inside ledger verify
[ -n "$(find "$volume" -name '*.seg')" ]
sees 'it stops in order, and its record is whole'
