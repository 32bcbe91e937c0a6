package app

import (
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
)

// incidentWalls are the operations of incidents, for the table of walls.
func incidentWalls(mine string) map[string]wall {
	aware := incident.NewMoment(time.Now().Add(-time.Hour), "Europe/London")
	open := func(school string, devices ...string) any {
		return IncidentChange{School: school, Words: "x", Devices: devices, Change: incident.Change{What: incident.Open, Kind: incident.Other, Aware: &aware}}
	}
	return map[string]wall{
		"incident.change": {school: func(s string) any { return open(s) }, device: func(d string) any { return open(mine, d) }},
		"incident.list":   {school: func(s string) any { return IncidentArguments{School: s} }},
		"incident.show":   {school: func(s string) any { return IncidentArguments{School: s, Incident: "2026-01"} }},
	}
}
