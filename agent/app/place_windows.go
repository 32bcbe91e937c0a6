package app

import (
	"path/filepath"

	"github.com/caretaker-school/caretaker/agent/system"
)

// DefaultState is the folder of the agent's state where the installers put it.
func DefaultState() string {
	data, err := system.ProgramData()
	if err != nil {
		data = `C:\ProgramData` // where it is, unless somebody has moved it
	}
	return filepath.Join(data, "Caretaker")
}

// programLists are the keys under which installers say what they installed.
func programLists() []string {
	const uninstall = `Microsoft\Windows\CurrentVersion\Uninstall`
	return []string{`HKLM\SOFTWARE\` + uninstall, `HKLM\SOFTWARE\WOW6432Node\` + uninstall}
}
