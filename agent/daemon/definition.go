package daemon

import "time"

// Definition says what the service is to the system. It is data, so that
// installers, tests and documents say the same. Most of it is Windows' alone;
// elsewhere the service manager has a file of its own.
type Definition struct {
	Name        string
	DisplayName string
	Description string
	Arguments   []string // with which the service manager starts the program

	// Delayed says that it starts some time after the system, when people
	// have begun to work.
	Delayed bool
	// Restart is how long after each failure in a row it is started again; the
	// last holds for all that follow, and the count begins anew after
	// ForgiveAfter without one. That it ended by itself is a failure too.
	Restart      []time.Duration
	ForgiveAfter time.Duration
	// Privileges are all that LocalSystem keeps in this service. Not among
	// them are those to debug, to back up and restore past all access lists,
	// to take ownership, to load drivers and to act as the system.
	Privileges []string
	// EventSource is the name under which it writes to the Application log.
	EventSource string
}

// Service returns the definition of the agent's service. Its account is
// LocalSystem: BitLocker answers nobody less than an administrator, and people
// are not asked for a password of their own for it.
func Service() Definition {
	return Definition{
		Name:         "caretaker-agent",
		DisplayName:  "Caretaker",
		Description:  "Reads this school laptop's encryption, antivirus, media and programs, and reports them to the school. It changes nothing.",
		Arguments:    []string{"service"},
		Delayed:      true,
		Restart:      []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute},
		ForgiveAfter: 24 * time.Hour,
		Privileges: []string{
			"SeChangeNotifyPrivilege",       // pass through folders; everybody has it
			"SeAssignPrimaryTokenPrivilege", // start children with less than it has itself
			"SeIncreaseQuotaPrivilege",      // demanded beside the former
		},
		EventSource: "Caretaker",
	}
}
