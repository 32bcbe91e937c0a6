package system

import (
	"strings"
	"testing"
)

func TestLocalPath(t *testing.T) {
	for name, want := range map[string]string{
		"/C:":                     "C",
		"/c:/Windows/win.ini":     "C|Windows|win.ini",
		"/D:/Schüler Übung/a b.x": "D|Schüler Übung|a b.x",
		"/C:/.git/...x":           "C|.git|...x",
		"/C:/company.txt":         "C|company.txt",
		"/C:/com10":               "C|com10",
	} {
		drive, below, err := localPath(name)
		if got := strings.Join(append([]string{string(drive)}, below...), "|"); err != nil || got != want {
			t.Errorf("path %q: got %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{
		"", "/", "C:/x", "/C", "/CC:/x", "/1:/x", "/C:x", "/C:/", "/C:/x/", "/C:/a//b", "/C:/a/../b", "/C:/./a",
		`/C:/a\b`, `\\server\share\x`, "//server/share/x", "/server/share", "/C:/a:stream", "/C:/a::$DATA", "/C:/a.", "/C:/a ",
		"/C:/a./b", "/C:/a /b", "/C:/nul", "/C:/NUL.txt", "/C:/con .x", "/C:/a/com1", "/C:/LPT¹.x", "/C:/CONIN$",
		"/C:/a*", "/C:/a?", "/C:/a\x00b", "/C:/a\nb", "/C:/a|b", "/C:/\xff", "/device/PhysicalDrive0", "/C:/" + strings.Repeat("a/", 20000) + "b",
		`/C:/\\?\UNC\x`, "/Ä:/x",
	} {
		if _, below, err := localPath(name); err == nil {
			t.Errorf("path %.60q: got %q, want an error", name, below)
		}
	}
}

func TestDevicePath(t *testing.T) {
	for name, want := range map[string]string{
		"/device/PhysicalDrive0":  `\\.\PhysicalDrive0`,
		"/device/CdRom0":          `\\.\CdRom0`,
		"/device/PhysicalDrive12": `\\.\PhysicalDrive12`,

		"/device/Volume{0a1b2c3d-0000-1111-2222-333344445555}": `\\?\Volume{0a1b2c3d-0000-1111-2222-333344445555}`,
	} {
		if got, ok := devicePath(name); !ok || got != want {
			t.Errorf("device %q: got %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{
		"", "/device/", "/device/PhysicalDrive", "/device/PhysicalDrive0/x", "/device/PhysicalDrive12345", "/device/PhysicalDrive-1",
		"/device/Volume{}", "/device/Volume{0a1b2c3d-0000-1111-2222-333344445555", `/device/Volume{0a1b2c3d-0000-1111-2222-333344445555}\x`,
		"/device/C:", "/device/HarddiskVolume1", "/C:/device/PhysicalDrive0", "/device/pipe/x",
	} {
		if got, ok := devicePath(name); ok {
			t.Errorf("device %q: got %q, want none", name, got)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/C:/Windows/win.ini", "/C:", "//server/share", "/C:/a:b", "/device/PhysicalDrive1", "/device/Volume{x}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if device, ok := devicePath(name); ok && strings.Count(device, `\`) != 3 {
			t.Errorf("device %q became %q", name, device)
		}
		_, below, err := localPath(name)
		if err != nil {
			return
		}
		if full := strings.Join(below, `\`); strings.ContainsAny(full, ":/\x00") || strings.Contains(full, `\\`) {
			t.Errorf("path %q became %q", name, full)
		}
	})
}
