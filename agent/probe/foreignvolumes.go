package probe

import (
	"cmp"
	"context"
	"strconv"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// typesSeenFromAbove are partitions that hold a part of what Windows shows as
// volumes: those of dynamic disks and of Storage Spaces.
var typesSeenFromAbove = map[string]bool{
	"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": true,
	"af9b60a0-1431-4f62-bc68-3311714a69ad": true,
	"e75caf8f-f680-4cee-afa3-b001e56efc2d": true,
	"42":                                   true,
}

// partitions adds the partitions of a disk in the machine that Windows does
// not list as volumes, as it does not those of another system beside it. They
// are judged by their headers, as on Linux.
func (v *fixedVolumes) partitions(ctx context.Context, disk physicalDisk) {
	a, there := disk.attachment(v.volumes.runs(disk.number)), disk.row.Flag("Media")
	switch {
	case there.Known() && !there.Value:
		return
	case a.absent != posture.None:
		v.gap("disks", a.absent)
		return
	case a.bus != "", disk.isImage(), disk.isRemote():
		return
	}
	parts, why := partsOf(ctx, v.sys, disk)
	listed, unknown := v.volumes.starts(disk.number.Value)
	if why = firstAbsence(why, unknown); why != posture.None {
		// Something may be there. What Windows runs from is not: it is listed.
		volume := unreadVerdict(why)
		volume.Role, volume.Filesystem, volume.Capacity = posture.DataVolume, posture.Unread[string](why), posture.Unread[int64](why)
		v.place(volume, "partitions of "+strconv.FormatInt(disk.number.Value, 10))
		return
	}
	for _, p := range parts {
		if !listed[p.start] && !typesWithoutFiles[p.kind] && !typesSeenFromAbove[p.kind] {
			v.addPartition(ctx, disk.number.Value, p)
		}
	}
}

func (v *fixedVolumes) addPartition(ctx context.Context, disk int64, p tablePart) {
	row := system.Values{
		"Disks": system.NumbersValue([]int64{disk}), "Offset": system.NumberValue(p.start), "Size": system.NumberValue(p.size),
	}
	volume := headerVerdict(inTheClear(holdsFilesystem, "", ""), posture.None)
	volume.Role = posture.BootVolume
	if isBootType(p.kind) {
		volume.Filesystem = headerFilesystem(v.headerAt(ctx, row))
	} else {
		var counts bool
		if volume, counts = v.judgeStrange(ctx, row, posture.DataVolume); !counts {
			return
		}
		volume.Role = cmp.Or(volume.Role, posture.DataVolume)
	}
	volume.Capacity = posture.Read(p.size)
	v.place(volume, "partition "+cmp.Or(p.id, strconv.FormatInt(disk, 10)))
}
