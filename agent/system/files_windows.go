package system

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// What is never opened, and why.
var (
	errLink        = errors.New("it is a link, and links are not followed")
	errPlaceholder = errors.New("its content is not on this machine")
	errRemote      = errors.New("it lies on another machine")
	errFolder      = errors.New("it is a folder")
	errNoFile      = errors.New("it is not a regular file")
)

// openDrive opens the top folder of a drive of this machine.
func openDrive(letter byte) (windows.Handle, error) {
	drive := string(letter) + ":"
	root, err := windows.UTF16PtrFromString(drive + `\`)
	if err != nil {
		return 0, err
	}
	switch windows.GetDriveType(root) {
	case windows.DRIVE_FIXED, windows.DRIVE_REMOVABLE, windows.DRIVE_CDROM, windows.DRIVE_RAMDISK:
	case windows.DRIVE_REMOTE:
		return 0, errRemote
	default:
		return 0, newCodeError(uint32(windows.ERROR_PATH_NOT_FOUND))
	}
	if err := checkDevice(drive); err != nil {
		return 0, err
	}
	long, err := windows.UTF16PtrFromString(`\\?\` + drive + `\`)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(long, windows.FILE_READ_ATTRIBUTES|windows.FILE_TRAVERSE, shareAll, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
}

// checkDevice refuses a letter that stands for a folder or for a redirector:
// those may lead to another machine, whatever Windows says of the drive.
func checkDevice(drive string) error {
	name, err := windows.UTF16PtrFromString(drive)
	if err != nil {
		return err
	}
	target := make([]uint16, 1024)
	if _, err := windows.QueryDosDevice(name, &target[0], uint32(len(target))); err != nil {
		return err
	}
	device, ok := strings.CutPrefix(strings.ToLower(windows.UTF16ToString(target)), `\device\`)
	if !ok || strings.ContainsAny(device, `\;`) || device == "mup" || strings.HasSuffix(device, "redirector") {
		return errRemote
	}
	return nil
}

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// openPath opens what lies at a path, "/C:/…", itself: a link as a link. A
// path that leads through a link is refused by the kernel.
func openPath(name string, access, options uint32) (windows.Handle, error) {
	letter, below, err := localPath(name)
	if err != nil {
		return 0, err
	}
	drive, err := openDrive(letter)
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(drive) }()
	return openAt(drive, strings.Join(below, `\`), access, options)
}

// openAt opens what lies at a path below an open folder, or, with no path,
// what is open already once more. Nothing is recalled.
func openAt(folder windows.Handle, name string, access, options uint32) (windows.Handle, error) {
	path, err := windows.NewNTUnicodeString(name)
	if err != nil {
		return 0, err
	}
	attributes := windows.OBJECT_ATTRIBUTES{
		RootDirectory: folder, ObjectName: path,
		Attributes: windows.OBJ_CASE_INSENSITIVE | windows.OBJ_DONT_REPARSE,
	}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	options |= windows.FILE_SYNCHRONOUS_IO_NONALERT | windows.FILE_OPEN_FOR_BACKUP_INTENT |
		windows.FILE_OPEN_REPARSE_POINT | windows.FILE_OPEN_NO_RECALL
	var handle windows.Handle
	var status windows.IO_STATUS_BLOCK
	err = windows.NtCreateFile(&handle, access|windows.SYNCHRONIZE, &attributes, &status, nil, 0,
		shareAll, windows.FILE_OPEN, options, 0, 0)
	const throughLink = windows.NTStatus(0xc000050b) // STATUS_REPARSE_POINT_ENCOUNTERED
	if errors.Is(err, throughLink) {
		return 0, errLink
	}
	if err != nil {
		return 0, err
	}
	return handle, nil
}

// openRegular opens a regular file for reading. What something is, is asked
// before it is opened for reading, because that alone can fetch it.
func openRegular(name string) (*os.File, error) {
	handle, err := openPath(name, windows.FILE_READ_ATTRIBUTES, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = windows.CloseHandle(handle) }()
	if err := checkRegular(handle); err != nil {
		return nil, err
	}
	content, err := openAt(handle, "", windows.FILE_READ_DATA|windows.FILE_READ_ATTRIBUTES, windows.FILE_NON_DIRECTORY_FILE)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(content), ""), nil
}

// openFolder opens a folder for listing.
func openFolder(name string) (*os.File, error) {
	handle, err := openPath(name, windows.FILE_LIST_DIRECTORY|windows.FILE_READ_ATTRIBUTES, windows.FILE_DIRECTORY_FILE)
	if err != nil {
		return nil, err
	}
	info, err := describe(handle)
	if err == nil {
		err = checkPlace(info.FileAttributes)
	}
	if err != nil {
		_ = windows.CloseHandle(handle)
		return nil, err
	}
	return os.NewFile(uintptr(handle), ""), nil
}

func describe(handle windows.Handle) (windows.ByHandleFileInformation, error) {
	var info windows.ByHandleFileInformation
	err := windows.GetFileInformationByHandle(handle, &info)
	return info, err
}

// checkRegular refuses all but a regular file whose content is here.
func checkRegular(handle windows.Handle) error {
	kind, err := windows.GetFileType(handle)
	if err != nil {
		return err
	}
	if kind != windows.FILE_TYPE_DISK {
		return errNoFile
	}
	info, err := describe(handle)
	if err != nil {
		return err
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		return errFolder
	}
	return checkPlace(info.FileAttributes)
}

// checkPlace refuses what is not here: a link, or a placeholder for something
// that lies elsewhere.
func checkPlace(attributes uint32) error {
	const elsewhere = windows.FILE_ATTRIBUTE_OFFLINE | windows.FILE_ATTRIBUTE_RECALL_ON_OPEN | windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS
	switch {
	case attributes&elsewhere != 0:
		return errPlaceholder
	case attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0:
		return errLink
	}
	return nil
}

// reparseTag says what kind of reparse point an open file is.
func reparseTag(handle windows.Handle) (uint32, error) {
	var info struct{ attributes, tag uint32 }
	err := windows.GetFileInformationByHandleEx(handle, windows.FileAttributeTagInfo,
		(*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	return info.tag, err
}

// isSurrogate reports whether a reparse point stands for another name, as
// links and junctions do.
func isSurrogate(tag uint32) bool { return tag&0x20000000 != 0 }

// control asks a driver. It returns how many bytes it answered.
func control(handle windows.Handle, code uint32, in, out []byte) (int, error) {
	var n uint32
	err := windows.DeviceIoControl(handle, code, unsafe.SliceData(in), uint32(len(in)), unsafe.SliceData(out), uint32(len(out)), &n, nil)
	if err != nil {
		return 0, err
	}
	if int(n) > len(out) {
		return 0, fmt.Errorf("a driver answered %d bytes where %d fit", n, len(out))
	}
	return int(n), nil
}
