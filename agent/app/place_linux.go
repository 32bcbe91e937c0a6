package app

// DefaultState is the folder of the agent's state where the installers put it.
func DefaultState() string { return "/var/lib/caretaker-agent" }

// programLists are what package managers write.
func programLists() []string {
	return []string{"/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite"}
}
