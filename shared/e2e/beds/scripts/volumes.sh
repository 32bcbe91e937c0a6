# What the system says of its disks, and what the agent says, in four states:
# with logical volumes and swap on a second encrypted disk (LUKS2), with files
# right on it (LUKS1), with that disk not encrypted, and with it not mounted.
set -eu
modprobe -a dm-crypt aesni-intel xts algif_skcipher sha256-ssse3 2>/dev/null || :

look() {
	udevadm settle
	lsblk --json --bytes --output NAME,TYPE,SIZE,MOUNTPOINT >"/bed/out/$1.lsblk.json"
	rc=0
	caretaker-agent check --json >"/bed/out/$1.check.json" || rc=$?
	[ "$rc" -le 1 ]
}

# LVM as the kernel sees it: linear mappings whose names begin with LVM-.
printf bed >/run/key
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vdb /run/key
cryptsetup open --key-file /run/key /dev/vdb second_crypt
dmsetup create school-home --uuid LVM-aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhhh \
	--table '0 204800 linear /dev/mapper/second_crypt 0'
dmsetup create school-swap --uuid LVM-aaaaaaaabbbbbbbbccccccccddddddddiiiiiiiijjjjjjjjkkkkkkkkllllllll \
	--table '0 65536 linear /dev/mapper/second_crypt 204800'
mkfs.ext4 -q -F /dev/mapper/school-home
mkdir -p /home
mount /dev/mapper/school-home /home
mkswap /dev/mapper/school-swap >/dev/null
swapon /dev/mapper/school-swap
look encrypted

swapoff /dev/mapper/school-swap
umount /home
dmsetup remove --retry school-home
dmsetup remove --retry school-swap
cryptsetup close second_crypt

dd if=/dev/zero of=/dev/vdb bs=1M count=32 2>/dev/null
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 /dev/vdb /run/key
cryptsetup open --key-file /run/key /dev/vdb second_crypt
mkfs.ext4 -q -F /dev/mapper/second_crypt
mount /dev/mapper/second_crypt /home
look luks1
umount /home
cryptsetup close second_crypt

dd if=/dev/zero of=/dev/vdb bs=1M count=32 2>/dev/null
mkfs.ext4 -q -F /dev/vdb
mount /dev/vdb /home
look plain
umount /home
look unmounted
