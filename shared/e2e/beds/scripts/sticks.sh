# Four sticks, plugged in while the system runs: FAT, LUKS, two partitions of
# which one is encrypted, and blank.
set -eu
modprobe -a dm-crypt aesni-intel xts algif_skcipher sha256-ssse3 2>/dev/null || :
printf bed >/run/key

# plug ID SERIAL VENDOR PRODUCT: plugs a stick in and sets dev to its device.
plug() {
	bed usb-add "$1" serial="$2" vendor="$3" product="$4" size=64M
	dev=
	while [ -z "$dev" ]; do
		udevadm settle
		dev=$(lsblk --nodeps --noheadings --paths --output NAME,SERIAL | awk -v s="$2" '$2 == s { print $1 }')
	done
}
luks() {
	cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1" /run/key
}

plug fat HB0001 SanDisk 'Cruzer Blade'
mkfs.vfat "$dev" >/dev/null
plug luks HB0002 Kingston DataTraveler
luks "$dev"
plug gpt HB0003 Verbatim 'Store n Go'
dd if=/bed/in/gpt.img of="$dev" 2>/dev/null
blockdev --rereadpt "$dev"
udevadm settle
mkfs.vfat "${dev}1" >/dev/null
luks "${dev}2"
plug blank HB0004 Generic Flash

udevadm settle
lsblk --json --bytes --output NAME,TYPE,SIZE,TRAN,VENDOR,MODEL,SERIAL >/bed/out/lsblk.json
rc=0
caretaker-agent check --json >/bed/out/check.json || rc=$?
[ "$rc" -le 1 ]
