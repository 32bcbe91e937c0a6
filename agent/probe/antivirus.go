package probe

import (
	"context"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// AntivirusProducts lists the antivirus products that are installed. A product
// whose presence could not be looked for is a gap, so that "none" is only said
// of a machine that was looked at everywhere.
func AntivirusProducts(ctx context.Context, sys system.Reader) posture.Answer[posture.Antivirus] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxAntivirus(ctx, sys)
	case system.JudgesWindows && on == posture.Windows:
		return windowsAntivirus(ctx, sys)
	case system.JudgesMacOS && on == posture.MacOS:
		return macAntivirus(ctx, sys)
	}
	return posture.NotFound[posture.Antivirus]("", posture.NotAsked)
}

func linuxAntivirus(ctx context.Context, sys system.Reader) posture.Answer[posture.Antivirus] {
	answer := posture.Found[posture.Antivirus]("files, processes")
	running := readProcesses(ctx, sys)
	for _, v := range vendors {
		installed, err := anyExists(ctx, sys, v.files...)
		switch {
		case err != nil:
			answer.Gaps = append(answer.Gaps, posture.Gap{Source: v.product, Absent: system.Absence(err)})
		case installed:
			item := posture.Antivirus{
				Product: v.product, Name: v.name,
				Version: unsupported[string](), On: running.any(v.engine...),
				RealTime: unsupported[bool](), Expired: unsupported[bool](), Updating: unsupported[bool](),
				Definitions: unsupported[string](), DefinitionsAt: unsupportedTime,
			}
			if v.engineUnsure && item.On.Known() && !item.On.Value {
				item.On = unsupported[bool]()
			}
			v.ask(ctx, sys, running, &item)
			answer.Items = append(answer.Items, item)
		}
	}
	fillVersions(ctx, sys, answer.Items)
	return answer
}

func unsupported[T any]() posture.Reading[T] { return posture.Unread[T](posture.Unsupported) }

// processes are the names of what runs, or why they could not be read. The
// kernel keeps the first 15 bytes of a name.
type processes struct {
	names []string
	err   error
}

func readProcesses(ctx context.Context, sys system.Reader) processes {
	names, err := sys.Processes(ctx)
	return processes{names, err}
}

// any reports whether one of the named programs runs. A name that ends with
// '*' stands for all that begin with it.
func (p processes) any(names ...string) posture.Reading[bool] {
	if p.err != nil {
		return absentFor[bool](p.err)
	}
	if len(p.names) == 0 {
		// Something always runs: an empty list is a list that was not seen.
		return posture.Unread[bool](posture.NotVisible)
	}
	return posture.Read(slices.ContainsFunc(p.names, func(running string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return isProcess(running, name) })
	}))
}

func isProcess(running, name string) bool {
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return strings.HasPrefix(running, prefix)
	}
	const kept = 15
	return running == name || len(name) > kept && running == name[:kept]
}

// fillVersions gives products that do not tell their version the one of the
// package that installed them.
func fillVersions(ctx context.Context, sys system.Reader, items []posture.Antivirus) {
	wanted := map[string]int{}
	for i, item := range items {
		if item.Version.Known() {
			continue
		}
		for _, v := range vendors {
			if v.product == item.Product {
				for _, name := range v.packages {
					wanted[name] = i
				}
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	// Without a package list, or with an unreadable one, versions stay as
	// absent as they were.
	list, _ := dpkgPrograms(ctx, sys)
	for _, p := range list {
		if i, ok := wanted[p.Name]; ok {
			items[i].Version = posture.Read(p.Version)
		}
	}
}
