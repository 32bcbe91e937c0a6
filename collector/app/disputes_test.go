package app

import "github.com/caretaker-school/caretaker/collector/dispute"

// disputeWalls is how operations about disputed facts are asked about a school, and
// about a device of one.
func disputeWalls(mine string) map[string]wall {
	of := func(s, d string) any {
		return DisputeArguments{School: s, Device: d, About: dispute.Encryption, Words: "x"}
	}
	school := func(s string) any { return of(s, "d") }
	device := func(d string) any { return of(mine, d) }
	return map[string]wall{
		"dispute.list":   {school: school, device: device},
		"dispute.raise":  {school: school, device: device},
		"dispute.show":   {school: func(s string) any { return DisputeArguments{School: s, ID: "dp-1"} }},
		"dispute.answer": {school: func(s string) any { return DisputeArguments{School: s, ID: "dp-1", Key: "x"} }},
	}
}
