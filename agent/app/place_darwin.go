package app

// DefaultState is the folder of the agent's state where the installers put it.
func DefaultState() string { return "/Library/Application Support/Caretaker" }

// programLists are the folder of applications and the list of what installers
// have installed.
func programLists() []string {
	return []string{"/Applications", "/Library/Receipts/InstallHistory.plist"}
}
