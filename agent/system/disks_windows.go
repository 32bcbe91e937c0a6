package system

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/windows"
)

// Questions to the drivers of disks. None of them needs any right to what the
// disk holds: all are asked of a handle that may do nothing.
const (
	ioctlStorageNumber   = 0x2d1080 // IOCTL_STORAGE_GET_DEVICE_NUMBER
	ioctlStorageProperty = 0x2d1400 // IOCTL_STORAGE_QUERY_PROPERTY
	ioctlStorageVerify   = 0x2d0800 // IOCTL_STORAGE_CHECK_VERIFY2
	ioctlDiskWritable    = 0x70024  // IOCTL_DISK_IS_WRITABLE
	ioctlDiskGeometry    = 0x700a0  // IOCTL_DISK_GET_DRIVE_GEOMETRY_EX
	ioctlDiskPartition   = 0x70048  // IOCTL_DISK_GET_PARTITION_INFO_EX
	ioctlVolumeExtents   = 0x560000 // IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS

	busNVMe = 17
	// perDevice is how long one device may take to answer, so that one that
	// hangs does not keep the others from being told of.
	perDevice = 8 * time.Second
)

// errNone means that a list is empty that cannot be: whoever gave it does not
// know.
var errNone = errors.New("none is named, and there must be one")

// openDevice opens a device without any right but to ask what it is.
func openDevice(path string) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(name, 0, shareAll, nil, windows.OPEN_EXISTING, 0, 0)
}

// askDevice returns the values that read takes from a device, or those of the
// names given that say why there are none.
func askDevice(ctx context.Context, path string, names []string, read func(windows.Handle) Values) Values {
	ctx, cancel := context.WithTimeout(ctx, perDevice)
	defer cancel()
	row, err := within(ctx, func() (Values, error) {
		handle, err := openDevice(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = windows.CloseHandle(handle) }()
		return read(handle), nil
	})
	if err != nil {
		return allFailed(names, err)
	}
	return row
}

func allFailed(names []string, err error) Values {
	row := Values{}
	for _, name := range names {
		row[name] = FailedValue(coded(err))
	}
	return row
}

// diskRows answers Disks.
func diskRows(ctx context.Context) ([]Values, error) {
	paths, err := interfacesOf(diskInterface)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errNone // a computer without a disk does not run Windows
	}
	rows := make([]Values, 0, len(paths))
	for _, path := range paths {
		row := askDevice(ctx, path, []string{
			"Number", "BusType", "Removable", "Media", "Writable", "Vendor", "Product", "Revision", "Serial", "Size", "SectorSize",
		}, diskValues)
		if d, err := addPlace(row, path); err != nil {
			row["RemovalPolicy"] = FailedValue(coded(err))
		} else {
			row["RemovalPolicy"] = numberOf(d.property(pnpRemovalPolicy))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// opticalRows answers OpticalDrives.
func opticalRows(ctx context.Context) ([]Values, error) {
	paths, err := interfacesOf(opticalInterface)
	if err != nil {
		return nil, err
	}
	rows := make([]Values, 0, len(paths))
	for _, path := range paths {
		row := askDevice(ctx, path, []string{"Number", "BusType", "Media", "Writable", "Vendor", "Product", "Serial", "Size"}, diskValues)
		for _, name := range []string{"Removable", "Revision", "SectorSize"} {
			delete(row, name)
		}
		_, _ = addPlace(row, path) // the row says what of it failed
		rows = append(rows, row)
	}
	return rows, nil
}

// addPlace adds where in the tree of devices the device of an interface is,
// and returns it.
func addPlace(row Values, path string) (device, error) {
	d, err := deviceOf(path)
	if err != nil {
		row["Instance"], row["Parents"] = FailedValue(coded(err)), FailedValue(coded(err))
		return device{}, err
	}
	row["Instance"], row["Parents"] = TextValue(d.instance), valueOf(d.parents())(TextsValue)
	return d, nil
}

// valueOf returns a function that makes a value of what was read, or of why it
// was not.
func valueOf[T any](v T, err error) func(func(T) Value) Value {
	return func(as func(T) Value) Value {
		if err != nil {
			return FailedValue(coded(err))
		}
		return as(v)
	}
}

// textOrNull makes a value of a text, null if it is empty.
func textOrNull(s string) Value {
	if s == "" {
		return Value{}
	}
	return TextValue(s)
}

// diskValues asks a disk, or a drive for discs, what it is.
func diskValues(handle windows.Handle) Values {
	row := Values{"Number": valueOf(deviceNumber(handle))(NumberValue)}
	d, err := describeDevice(handle)
	if err != nil {
		for _, name := range []string{"BusType", "Removable", "Vendor", "Product", "Revision", "Serial"} {
			row[name] = FailedValue(coded(err))
		}
	} else {
		row["BusType"], row["Removable"] = NumberValue(int64(d.bus)), FlagValue(d.removable)
		row["Vendor"], row["Product"] = textOrNull(d.vendor), textOrNull(d.product)
		row["Revision"], row["Serial"] = textOrNull(d.revision), textOrNull(d.serial)
	}
	if err == nil && d.bus == busNVMe {
		if serial, err := nvmeSerialOf(handle); err == nil {
			row["Serial"] = TextValue(serial)
		}
	}
	media, err := hasMedia(handle)
	row["Media"] = valueOf(media, err)(FlagValue)
	row["Writable"], row["Size"], row["SectorSize"] = Value{}, Value{}, Value{}
	if err == nil && !media {
		return row // without a medium there is nothing that has them
	}
	row["Writable"] = valueOf(isWritable(handle))(FlagValue)
	sector, size, err := geometry(handle)
	row["Size"], row["SectorSize"] = valueOf(size, err)(NumberValue), valueOf(sector, err)(NumberValue)
	return row
}

func deviceNumber(handle windows.Handle) (int64, error) {
	answer := make([]byte, 12)
	n, err := control(handle, ioctlStorageNumber, nil, answer)
	if err != nil {
		return 0, err
	}
	if n < len(answer) {
		return 0, errShortAnswer
	}
	return int64(binary.LittleEndian.Uint32(answer[4:])), nil
}

func describeDevice(handle windows.Handle) (descriptor, error) {
	answer := make([]byte, 4096)
	n, err := control(handle, ioctlStorageProperty, make([]byte, 12), answer) // StorageDeviceProperty, as it stands
	if err != nil {
		return descriptor{}, err
	}
	return parseDescriptor(answer[:n])
}

func nvmeSerialOf(handle windows.Handle) (string, error) {
	answer := make([]byte, nvmeAnswer)
	n, err := control(handle, ioctlStorageProperty, nvmeQuestion(), answer)
	if err != nil {
		return "", err
	}
	return parseNVMe(answer[:n])
}

// hasMedia reports whether there is a medium in a drive.
func hasMedia(handle windows.Handle) (bool, error) {
	_, err := control(handle, ioctlStorageVerify, nil, nil)
	switch {
	case err == nil, errors.Is(err, windows.ERROR_MEDIA_CHANGED):
		return true, nil
	case errors.Is(err, windows.ERROR_NOT_READY), errors.Is(err, windows.ERROR_NO_MEDIA_IN_DRIVE):
		return false, nil
	}
	return false, err
}

// isWritable reports whether a medium may be written to.
func isWritable(handle windows.Handle) (bool, error) {
	_, err := control(handle, ioctlDiskWritable, nil, nil)
	if errors.Is(err, windows.ERROR_WRITE_PROTECT) {
		return false, nil
	}
	return err == nil, err
}

func geometry(handle windows.Handle) (sector, size int64, err error) {
	answer := make([]byte, 256)
	n, err := control(handle, ioctlDiskGeometry, nil, answer)
	if err != nil {
		return 0, 0, err
	}
	return parseGeometry(answer[:n])
}

// portableRows answers PortableDevices. A phone is never opened.
func portableRows(ctx context.Context) ([]Values, error) {
	paths, err := interfacesOf(portableInterface)
	if err != nil {
		return nil, err
	}
	rows := make([]Values, 0, len(paths))
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row := Values{}
		d, err := addPlace(row, path)
		if err != nil {
			row["Service"] = FailedValue(coded(err))
			rows = append(rows, row)
			continue
		}
		row["Service"] = textOf(d.property(pnpService))
		row["Vendor"] = textOf(d.property(pnpManufacturer))
		row["Product"] = textOf(d.told(reportedBy))
		rows = append(rows, row)
	}
	return rows, nil
}
