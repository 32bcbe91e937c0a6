// Package daemon is the collector's place among the services of Windows: it makes
// the service, takes it away, and runs a program for the Service Control Manager.
// Elsewhere a unit or a container says all of this, and nothing here is built in.
//
// It never decides what the program does, and changes nothing of the system but
// the entry of the service and its source in the event log.
package daemon

// Name is the service's name to the system, and Source its source in the event
// log.
const (
	Name   = "caretaker-collector"
	Source = Name
)
