package system

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// localPath splits the path of a file on Windows, "/C:/Windows/win.ini", into
// the drive's letter and the names below it. It refuses whatever Windows would
// read as something else than the file of that name on that drive: other
// machines, streams beside a file, devices, names that it would shorten.
func localPath(name string) (drive byte, below []string, err error) {
	invalid := fmt.Errorf("%.200q is not a file on a drive: %w", name, fs.ErrInvalid)
	if len(name) < 3 || name[0] != '/' || name[2] != ':' || !isLetter(name[1]) || path.Clean(name) != name {
		return 0, nil, invalid
	}
	drive = name[1] &^ 0x20
	if len(name) == 3 {
		return drive, nil, nil
	}
	if name[3] != '/' || len(name) > maxPath {
		return 0, nil, invalid
	}
	below = strings.Split(name[4:], "/")
	for _, element := range below {
		if !isPlainName(element) {
			return 0, nil, invalid
		}
	}
	return drive, below, nil
}

// maxPath is the longest path that the kernel takes, with room to spare.
const maxPath = 32000

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isPlainName reports whether a name means the same to every layer of Windows.
func isPlainName(name string) bool {
	if name == "" || len(name) > 3*255 || strings.ContainsAny(name, `\/:*?"<>|`) {
		return false
	}
	for _, r := range name {
		if r < ' ' || r == '\uFFFD' {
			return false
		}
	}
	last := name[len(name)-1]
	return last != '.' && last != ' ' && !isDeviceName(name)
}

// isDeviceName tells the names that DOS gave to devices, whatever follows the
// point: nobody calls a file so but to hurt.
func isDeviceName(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		port, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && strings.ContainsAny(port, "0123456789¹²³") && len([]rune(port)) == 1
}

// isIndex reports whether s is a number as devices have them.
func isIndex(s string) bool { return s != "" && len(s) <= 4 && strings.Trim(s, "0123456789") == "" }

// devicePath returns Windows' own name of a disk, drive or volume that is called
// "/device/PhysicalDrive1" or "/device/Volume{…}", and whether it is one.
func devicePath(name string) (string, bool) {
	device, ok := strings.CutPrefix(name, "/device/")
	if !ok {
		return "", false
	}
	if number, disk := strings.CutPrefix(device, "PhysicalDrive"); disk {
		return `\\.\PhysicalDrive` + number, isIndex(number)
	}
	if number, disc := strings.CutPrefix(device, "CdRom"); disc {
		return `\\.\CdRom` + number, isIndex(number)
	}
	guid, ok := strings.CutPrefix(device, "Volume{")
	guid, closed := strings.CutSuffix(guid, "}")
	return `\\?\Volume{` + guid + "}", ok && closed && len(guid) == 36 && strings.Trim(guid, "0123456789abcdefABCDEF-") == ""
}
