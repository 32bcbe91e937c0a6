package system

import (
	"fmt"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// ProgramData returns the folder for what programs keep for the whole machine,
// as administrators have set it. The environment is not asked, which is
// anybody's; nor the shell, which brings with it six megabytes that stay.
func ProgramData() (string, error) {
	dir, err := programData()
	if err != nil {
		return "", fmt.Errorf("find the folder for programs' data: %w", err)
	}
	return dir, nil
}

func programData() (string, error) {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return "", err
	}
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`,
		registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "", err
	}
	defer key.Close()
	dir, _, err := key.GetStringValue("ProgramData")
	if err != nil {
		return "", err
	}
	const drive = "%SystemDrive%"
	if len(dir) > len(drive) && strings.EqualFold(dir[:len(drive)], drive) {
		dir = root[:2] + dir[len(drive):]
	}
	if len(dir) < 4 || dir[1] != ':' || strings.Contains(dir, "%") {
		return "", fmt.Errorf("%q is not a folder", dir)
	}
	return dir, nil
}
