package system

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// openStart opens the folder of a start, one name after the other from its
// volume on, none of which may lead elsewhere. Nothing is asked of a volume
// before Windows' own table of devices says that it is of this machine.
func openStart(s walkStart) (windows.Handle, error) {
	volume, below, ok := splitStart(s.path)
	if !ok {
		return 0, fmt.Errorf("a walk does not start there: %w", errors.ErrUnsupported)
	}
	if s.below != "" {
		below = append(below, strings.Split(s.below, `\`)...)
	}
	if err := isOfThisMachine(volume); err != nil {
		return 0, err
	}
	name, err := windows.NewNTUnicodeString(`\??\` + volume + `\`)
	if err != nil {
		return 0, err
	}
	dir, err := openObject(0, name, windows.OBJ_CASE_INSENSITIVE, readFolder, windows.FILE_DIRECTORY_FILE)
	if err != nil {
		return 0, err
	}
	err = isLocal(dir)
	for err == nil && len(below) > 0 {
		above := dir
		dir, err = openFolderInside(above, below[0])
		_ = windows.CloseHandle(above)
		if err != nil {
			return 0, err
		}
		below = below[1:]
	}
	if err != nil {
		_ = windows.CloseHandle(dir)
		return 0, err
	}
	return dir, nil
}

// splitStart splits C:\Users\ada, or \\?\Volume{…}\, into a volume and the
// names below it.
func splitStart(name string) (volume string, below []string, ok bool) {
	if guid, isVolume := strings.CutPrefix(name, `\\?\`); isVolume {
		_, ok := devicePath("/device/" + strings.TrimSuffix(guid, `\`))
		return strings.TrimSuffix(guid, `\`), nil, ok && strings.HasPrefix(guid, "Volume{")
	}
	drive, below, err := localPath("/" + strings.ReplaceAll(name, `\`, "/"))
	return string(rune(drive)) + ":", below, err == nil
}

// openFolderInside opens a folder that is no reparse point.
func openFolderInside(above windows.Handle, name string) (windows.Handle, error) {
	units := utf16.Encode([]rune(name))
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(units))), 2*len(units))
	dir, err := openInside(above, bytes, readFolder, windows.FILE_DIRECTORY_FILE)
	if err != nil {
		return 0, err
	}
	now, err := stateOf(dir)
	if err == nil {
		err = checkPlace(now.attributes)
	}
	if err != nil {
		_ = windows.CloseHandle(dir)
		return 0, err
	}
	return dir, nil
}

// localDevices begin the names of the devices that are disks of this machine.
// What begins otherwise is another machine, another name for a folder, or a
// file system in user space, which may never answer.
var localDevices = []string{`\Device\HarddiskVolume`, `\Device\Harddisk`, `\Device\CdRom`, `\Device\Floppy`}

// isOfThisMachine refuses a volume of which Windows' table of devices does not
// say that it is on a disk here, without a question to the volume.
func isOfThisMachine(volume string) error {
	name, err := windows.UTF16PtrFromString(volume)
	if err != nil {
		return err
	}
	var target [1024]uint16
	n, err := windows.QueryDosDevice(name, &target[0], uint32(len(target)))
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return windows.STATUS_OBJECT_NAME_NOT_FOUND
	}
	if err != nil {
		return err
	}
	device := windows.UTF16ToString(target[:n])
	for _, prefix := range localDevices {
		if strings.HasPrefix(device, prefix) {
			return nil
		}
	}
	if strings.HasPrefix(device, `\Device\Mup`) || strings.HasPrefix(device, `\Device\LanmanRedirector`) || strings.HasPrefix(device, `\Device\WebDavRedirector`) {
		return errRemote
	}
	return fmt.Errorf("it is not a volume of this machine: %w", errors.ErrUnsupported)
}

// isLocal refuses what its own handle says is not on a disk of this machine.
func isLocal(dir windows.Handle) error {
	const (
		deviceInformation                  = 4    // FileFsDeviceInformation
		remote                             = 0x10 // FILE_REMOTE_DEVICE
		disc, discSystem, disk, diskSystem = 2, 3, 7, 8
	)
	query, err := procedure("ntdll.dll", "NtQueryVolumeInformationFile")
	if err != nil {
		return err
	}
	var device struct{ kind, characteristics uint32 }
	var done windows.IO_STATUS_BLOCK
	status, _, _ := query.Call(uintptr(dir), uintptr(unsafe.Pointer(&done)), uintptr(unsafe.Pointer(&device)), unsafe.Sizeof(device), deviceInformation)
	if status != 0 {
		return windows.NTStatus(status)
	}
	if device.characteristics&remote != 0 {
		return errRemote
	}
	switch device.kind {
	case disc, discSystem, disk, diskSystem:
		return nil
	}
	return fmt.Errorf("a device of kind %d is not walked: %w", device.kind, errors.ErrUnsupported)
}
