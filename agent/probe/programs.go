package probe

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// packageManagers are the sources of programs on Linux. Each returns what it
// knows, also beside an error, and nothing where the system does not have it.
var packageManagers = []struct {
	name string
	list func(context.Context, system.Reader) ([]posture.Program, error)
}{
	{"dpkg", dpkgPrograms},
	{"rpm", rpmPrograms},
	{"flatpak", flatpakPrograms},
	{"flatpak of people", flatpakOfPeople},
	{"snap", snapPrograms},
}

// Programs lists what the system's own package managers have installed. A
// manager that is there and cannot be read is a gap.
func Programs(ctx context.Context, sys system.Reader) posture.Answer[posture.Program] {
	if sys.Platform() != posture.Linux {
		return posture.NotFound[posture.Program]("", posture.NotAsked)
	}
	answer := posture.Found[posture.Program]("package managers")
	for _, m := range packageManagers {
		list, err := m.list(ctx, sys)
		if err != nil {
			answer.Gaps = append(answer.Gaps, posture.Gap{Source: m.name, Absent: programGap(err)})
		}
		answer.Items = append(answer.Items, list...)
	}
	slices.SortFunc(answer.Items, func(a, b posture.Program) int {
		return cmp.Or(
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Version, b.Version),
		)
	})
	answer.Items = slices.Compact(answer.Items)
	return answer
}

// errNotVisible means that something exists where the agent does not look.
var errNotVisible = errors.New("it is in a person's folder")

func programGap(err error) posture.Absence {
	switch {
	case errors.Is(err, errTooMany):
		return posture.TimedOut // a limit stopped it
	case errors.Is(err, errNotVisible):
		return posture.NotVisible
	}
	return system.Absence(err)
}
