package app

import (
	"github.com/caretaker-school/caretaker/collector/register"
)

// registerWalls are the operations about what a school keeps itself.
func registerWalls(mine string) map[string]wall {
	change := func(school, device string, c register.Change) any {
		return RegisterArguments{School: school, Device: device, Change: c}
	}
	tie := register.Change{What: register.Tie, Tag: "HB-1"}
	return map[string]wall{
		"register.import":   {school: func(s string) any { return ImportArguments{School: s, Source: []byte("tag\nHB-1\n"), DryRun: true} }},
		"register.list":     {school: func(s string) any { return AssetArguments{School: s} }},
		"register.show":     {school: func(s string) any { return AssetArguments{School: s, Tag: "HB-1"} }},
		"register.coverage": {school: func(s string) any { return AssetArguments{School: s} }},
		"register.uses":     {school: func(s string) any { return UseArguments{School: s} }},
		"register.change": {
			school: func(s string) any { return change(s, "d", tie) },
			device: func(d string) any { return change(mine, d, tie) },
		},
		"media.list":   {school: func(s string) any { return MediaArguments{School: s} }},
		"media.show":   {school: func(s string) any { return MediaArguments{School: s, Number: "M-1"} }},
		"media.find":   {school: func(s string) any { return MediaArguments{School: s} }},
		"licence.list": {school: func(s string) any { return LicenceArguments{School: s} }},
		"licence.sign": {school: func(s string) any { return LicenceArguments{School: s, Product: "Office", Term: "autumn"} }},
	}
}
