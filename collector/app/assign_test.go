package app

import "github.com/caretaker-school/caretaker/collector/decision"

// assignWalls are the operations of assignments, for the table of walls.
func assignWalls(mine string) map[string]wall {
	on := true
	return map[string]wall{
		"device.assign": {
			school: func(s string) any {
				return AssignArguments{School: s, Device: "d", Telling: decision.Telling{PersonalUse: &on}, Reason: "x"}
			},
			device: func(d string) any {
				return AssignArguments{School: mine, Device: d, Telling: decision.Telling{PersonalUse: &on}, Reason: "x"}
			},
		},
		"device.assignments": {
			school: func(s string) any { return ListArguments{School: s, Device: "d"} },
			device: func(d string) any { return ListArguments{School: mine, Device: d} },
		},
	}
}
