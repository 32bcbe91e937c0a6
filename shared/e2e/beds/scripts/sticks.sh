# Seven sticks, plugged in while the system runs: FAT, LUKS2, two partitions of
# which one is encrypted, blank, LUKS1, BitLocker To Go, and BitLocker with its
# key in the clear.
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
luks() { # DEVICE
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
plug luks1 HB0005 Kingston DataTraveler1
cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "$dev" /run/key
plug togo HB0006 Toshiba TransMemory
dd if=/bed/in/togo.img of="$dev" bs=1M 2>/dev/null
blockdev --rereadpt "$dev"
plug clear HB0007 Lexar JumpDrive
dd if=/bed/in/clear.img of="$dev" bs=1M 2>/dev/null

udevadm settle
lsblk --json --bytes --output NAME,TYPE,SIZE,TRAN,VENDOR,MODEL,SERIAL,FSTYPE >/bed/out/lsblk.json
rc=0
caretaker-agent check --json >/bed/out/check.json || rc=$?
[ "$rc" -le 1 ]
