package system

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sys/windows"
)

const maxVolumes = 1024

// volumeRows answers DiskVolumes.
func volumeRows(ctx context.Context) ([]Values, error) {
	names, err := volumeNames()
	if err != nil {
		return nil, err
	}
	system, systemErr := systemVolume()
	rows := make([]Values, 0, len(names))
	for _, name := range names {
		row := volumeValues(ctx, name)
		if systemErr != nil {
			row["System"] = FailedValue(coded(systemErr))
		} else {
			row["System"] = FlagValue(strings.EqualFold(system, name))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// volumeNames lists the volumes of this machine, as \\?\Volume{…}\.
func volumeNames() ([]string, error) {
	buffer := make([]uint16, 256)
	search, err := windows.FindFirstVolume(&buffer[0], uint32(len(buffer)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.FindVolumeClose(search) }()
	var names []string
	for {
		names = append(names, windows.UTF16ToString(buffer))
		if len(names) > maxVolumes {
			return nil, ErrTooLarge
		}
		err := windows.FindNextVolume(search, &buffer[0], uint32(len(buffer)))
		if errors.Is(err, windows.ERROR_NO_MORE_FILES) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// systemVolume returns the volume from which Windows runs.
func systemVolume() (string, error) {
	folder, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return "", err
	}
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return "", err
	}
	mount, volume := make([]uint16, 1024), make([]uint16, 256)
	if err := windows.GetVolumePathName(path, &mount[0], uint32(len(mount))); err != nil {
		return "", err
	}
	if err := windows.GetVolumeNameForVolumeMountPoint(&mount[0], &volume[0], uint32(len(volume))); err != nil {
		return "", err
	}
	return windows.UTF16ToString(volume), nil
}

// volumeValues describes one volume. Its driver and its file system are asked
// apart, because either may hang or refuse.
func volumeValues(ctx context.Context, name string) Values {
	row := askDevice(ctx, strings.TrimSuffix(name, `\`),
		[]string{"Style", "Type", "Active", "Partition", "Offset", "Size", "Disks", "BusType", "ReadOnly"}, partitionValues)
	row["DeviceID"] = TextValue(name)
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		row["DriveType"], row["Mounts"], row["Filesystem"] = FailedValue(err), FailedValue(err), FailedValue(err)
		return row
	}
	row["DriveType"] = NumberValue(int64(windows.GetDriveType(path)))
	row["Mounts"] = valueOf(mountsOf(path))(TextsValue)
	ctx, cancel := context.WithTimeout(ctx, perDevice)
	defer cancel()
	fs, err := within(ctx, func() (filesystem, error) { return filesystemOf(path) })
	row["Filesystem"] = valueOf(fs.name, err)(textOrNull)
	if err == nil && fs.readOnly {
		row["ReadOnly"] = FlagValue(true)
	}
	return row
}

// mountsOf returns where a volume can be reached: drive letters and folders.
func mountsOf(name *uint16) ([]string, error) {
	buffer := make([]uint16, 1024)
	for {
		var needed uint32
		err := windows.GetVolumePathNamesForVolumeName(name, &buffer[0], uint32(len(buffer)), &needed)
		if errors.Is(err, windows.ERROR_MORE_DATA) && int(needed) > len(buffer) && needed <= maxPath {
			buffer = make([]uint16, needed)
			continue
		}
		if err != nil {
			return nil, err
		}
		return allTexts(buffer[:min(int(needed), len(buffer))]), nil
	}
}

type filesystem struct {
	name     string // "" if Windows knows none
	readOnly bool
}

func filesystemOf(volume *uint16) (filesystem, error) {
	name, flags := make([]uint16, 64), uint32(0)
	err := windows.GetVolumeInformation(volume, nil, 0, nil, nil, &flags, &name[0], uint32(len(name)))
	if errors.Is(err, windows.ERROR_UNRECOGNIZED_VOLUME) {
		return filesystem{}, nil
	}
	if err != nil {
		return filesystem{}, err
	}
	return filesystem{windows.UTF16ToString(name), flags&windows.FILE_READ_ONLY_VOLUME != 0}, nil
}

// partitionValues asks the driver of a volume where it lies.
func partitionValues(handle windows.Handle) Values {
	row := Values{}
	p, err := partitionOf(handle)
	if err != nil {
		for _, name := range []string{"Style", "Type", "Active", "Partition", "Offset", "Size"} {
			row[name] = FailedValue(coded(err))
		}
	} else {
		row["Style"], row["Type"] = NumberValue(int64(p.style)), textOrNull(p.kind)
		row["Partition"], row["Offset"], row["Size"] = NumberValue(int64(p.number)), NumberValue(p.offset), NumberValue(p.size)
		if p.style == 0 {
			row["Active"] = FlagValue(p.active)
		}
	}
	row["Disks"] = valueOf(disksOf(handle))(NumbersValue)
	d, err := describeDevice(handle)
	row["BusType"] = valueOf(int64(d.bus), err)(NumberValue)
	writable, err := isWritable(handle)
	row["ReadOnly"] = valueOf(!writable, err)(FlagValue)
	return row
}

func partitionOf(handle windows.Handle) (partition, error) {
	answer := make([]byte, 256)
	n, err := control(handle, ioctlDiskPartition, nil, answer)
	if err != nil {
		return partition{}, err
	}
	return parsePartition(answer[:n])
}

// disksOf returns the numbers of the disks that a volume spans.
func disksOf(handle windows.Handle) ([]int64, error) {
	const most = 128 // extents
	answer := make([]byte, 8+24*most)
	n, err := control(handle, ioctlVolumeExtents, nil, answer)
	if err != nil {
		return nil, err
	}
	return parseExtents(answer[:n])
}
