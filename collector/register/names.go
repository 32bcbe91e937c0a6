package register

import "github.com/caretaker-school/caretaker/shared/posture"

// CheckRole reports what is wrong with the name of a role or an organisation.
func CheckRole(name string) error { return line("the role", name, mostText, true) }

// CheckDevice reports what is wrong with the identifier of a device.
func CheckDevice(id posture.DeviceID) error { return checkDevice(id) }
