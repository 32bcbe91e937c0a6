package app

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// DefaultState is the folder of the agent's state where the installers put it.
// The system is asked for its place, not the environment: that is anybody's.
func DefaultState() string {
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		data = `C:\ProgramData`
	}
	return filepath.Join(data, "Caretaker")
}

// programLists are the keys under which installers say what they installed.
func programLists() []string {
	const uninstall = `Microsoft\Windows\CurrentVersion\Uninstall`
	return []string{`HKLM\SOFTWARE\` + uninstall, `HKLM\SOFTWARE\WOW6432Node\` + uninstall}
}
