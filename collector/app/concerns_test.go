package app

// concernWalls are the operations about what was reported, for the table of
// walls.
func concernWalls() map[string]wall {
	of := func(school string) any {
		return ConcernArguments{School: school, References: []string{"K7QM-2XHD"}, Reason: "x"}
	}
	return map[string]wall{
		"concern.list": {school: of}, "concern.show": {school: of}, "concern.set-aside": {school: of}, "concern.address": {school: of},
	}
}
