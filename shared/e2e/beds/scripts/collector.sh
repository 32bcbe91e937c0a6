# A collector on a disk that outlives the guest. At each boot the host is given
# the folder as it was found, before the collector touches it; when the host
# says so, the collector is stopped and the folder given once more.
set -eu
fetch() { tar -c -f "/bed/out/$1.new" -C /srv data; mv "/bed/out/$1.new" "/bed/out/$1"; }

mkdir -p /srv
blkid /dev/vdb >/dev/null || mkfs.ext4 -q /dev/vdb
mount /dev/vdb /srv
if [ ! -e /srv/data ]; then
	cp -a /bed/in/data /srv/data.new
	sync
	mv /srv/data.new /srv/data
	sync
fi
fetch found.tar
caretaker-collector serve --data /srv/data --agents 0.0.0.0:7443 --web 127.0.0.1:8080 >/bed/out/ready 2>>/bed/out/collector.log &
collector=$!
while [ ! -e /bed/out/stop ]; do
	kill -0 "$collector"
	sleep 0.2
done
kill "$collector"
wait "$collector" || :
fetch last.tar
umount /srv
