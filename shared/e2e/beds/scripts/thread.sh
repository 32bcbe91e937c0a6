# A laptop that enrols, runs its agent, has a stick plugged in and pulled out,
# and whose agent is killed and started again in between. It waits for the host
# to say what it has seen.
set -eu
modprobe -a dm-crypt aesni-intel xts algif_skcipher sha256-ssse3 2>/dev/null || :
printf bed >/run/key
state=/var/lib/caretaker-agent
mkdir -p /var/lib

# told WORD: waits until the host has said it.
told() { while [ ! -e "/bed/out/$1" ]; do sleep 0.3; done; }
# note WORD: tells the host, with the time.
note() { date +%s >"/bed/out/$1.new"; mv "/bed/out/$1.new" "/bed/out/$1"; }
# plug ID SERIAL VENDOR PRODUCT: plugs a stick in and sets dev to its device.
plug() {
	bed usb-add "$1" serial="$2" vendor="$3" product="$4" size=64M
	dev=
	while [ -z "$dev" ]; do
		udevadm settle
		dev=$(lsblk --nodeps --noheadings --paths --output NAME,SERIAL | awk -v s="$2" '$2 == s { print $1 }')
	done
}
# assessed prints when the agent last assessed the laptop.
assessed() { caretaker-agent status --state "$state" --json | grep '"assessedAt"'; }

caretaker-agent enroll --state "$state" --token "$TOKEN"
caretaker-agent run --state "$state" 2>/bed/out/agent.log &
agent=$!
told running

note before-attach
plug stick HB0042 Kingston DataTraveler
note attached
told seen-attached
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$dev" /run/key
note encrypted
told seen-encrypted

kill -9 "$agent"
wait "$agent" || :
# A stick with files in the clear, of which nobody hears yet.
plug clear HB0043 SanDisk Cruzer
mkfs.vfat "$dev" >/dev/null
bed usb-del clear
before=$(assessed)
caretaker-agent run --state "$state" 2>>/bed/out/agent.log &
agent=$!
while [ "$(assessed)" = "$before" ]; do sleep 0.3; done

note before-detach
bed usb-del stick
note detached
told seen-detached

note plug
bed usb-add clear serial=HB0043 vendor=SanDisk product=Cruzer
told seen-breach
bed usb-del clear
told seen-pulled
caretaker-agent status --state "$state" --json >/bed/out/status.json
kill "$agent"
wait "$agent" || :
