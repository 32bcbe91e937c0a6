# A laptop whose agent's state is on a disk that outlives the guest, and whose
# person has another program at each look. The agent is started again and again,
# so that it reports as often as it can, until the host says that it is enough;
# then the clock is set back by a year while the agent runs.
set -eu
state=/srv/state
echo 'pupil:x:1000:1000:Pupil:/home/pupil:/bin/sh' >>/etc/passwd
mkdir -p /srv /home
blkid /dev/vdb >/dev/null || mkfs.ext4 -q /dev/vdb
mount /dev/vdb /srv
mkdir -p /srv/home/pupil/Downloads
chown 1000 /srv/home/pupil /srv/home/pupil/Downloads
mount --bind /srv/home /home # people's folders are looked at on disks only

# note WORD: tells the host. told WORD: waits until the host has said it.
note() { echo >"/bed/out/$1"; }
told() { while [ ! -e "/bed/out/$1" ]; do sleep 0.2; done; }
# another: puts another program there, an ELF header and some words.
another() {
	{
		printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\002\000\076\000\001\000\000\000'
		head -c 28 /dev/zero
		printf '\100\000\000\000\000\000\000\000\000\000\000\000'
		cat /proc/sys/kernel/random/uuid
	} >/home/pupil/Downloads/lesson.new
	mv /home/pupil/Downloads/lesson.new /home/pupil/Downloads/lesson
}
start() {
	caretaker-agent run --state "$state" 2>>/bed/out/agent.log &
	agent=$!
}
field() { caretaker-agent status --state "$state" --json | sed -n "s/^ *\"$1\": \"*\([^\",]*\)\"*,*$/\1/p"; }
# reported: waits until the agent has assessed the laptop since the time $1, and
# all is acknowledged.
reported() {
	while [ "$(field assessedAt)" = "$1" ] || [ "$(field waiting)" != 0 ]; do
		kill -0 "$agent"
		sleep 0.3
	done
}

if [ ! -e "$state/identity.json" ]; then
	caretaker-agent enroll --state "$state" --token "$TOKEN"
fi
caretaker-agent status --state "$state" --json >/bed/out/found.json.new
mv /bed/out/found.json.new /bed/out/found.json
while [ ! -e /bed/out/enough ]; do
	another
	before=$(field assessedAt)
	start
	reported "$before"
	note reported
	kill "$agent"
	wait "$agent" || :
done

another
before=$(field assessedAt)
start
reported "$before"
note clock
told year
date -s "@$(($(date +%s) - 365 * 24 * 3600))" >/dev/null
note back
told seen
kill "$agent"
wait "$agent" || :
another
before=$(field assessedAt)
start
reported "$before"
caretaker-agent status --state "$state" >/bed/out/status.txt
caretaker-agent status --state "$state" --json >/bed/out/status.json.new
mv /bed/out/status.json.new /bed/out/status.json
kill "$agent"
wait "$agent" || :
umount /home
umount /srv
