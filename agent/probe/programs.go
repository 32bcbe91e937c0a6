package probe

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// programSource is a place where programs are listed. It returns what it knows,
// also beside an error, and nothing where the system does not have it.
type programSource struct {
	name string
	list func(context.Context, system.Reader) ([]posture.Program, error)
}

// packageManagers are the sources of programs on Linux.
var packageManagers = []programSource{
	{"dpkg", dpkgPrograms},
	{"rpm", rpmPrograms},
	{"flatpak", flatpakPrograms},
	{"flatpak of people", flatpakOfPeople},
	{"snap", snapPrograms},
}

// Programs lists what is installed for everybody, by the system's own records.
// A source that is there and cannot be read is a gap.
func Programs(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Program] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return listPrograms(ctx, sys, "package managers", packageManagers)
	case system.JudgesWindows && on == posture.Windows:
		return windowsPrograms(ctx, sys, q.PersonalUse)
	case system.JudgesMacOS && on == posture.MacOS:
		return macPrograms(ctx, sys)
	}
	return posture.NotFound[posture.Program]("", posture.NotAsked)
}

func listPrograms(ctx context.Context, sys system.Reader, from string, sources []programSource) posture.Answer[posture.Program] {
	answer := posture.Found[posture.Program](from)
	for _, m := range sources {
		list, err := m.list(ctx, sys)
		if err != nil {
			answer.Gaps = append(answer.Gaps, posture.Gap{Source: codedSource(m.name, err), Absent: programGap(err)})
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
