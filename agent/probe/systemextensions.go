package probe

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// systemExtension is a part of a program that macOS lets into the system.
type systemExtension struct {
	team, bundle, version string
	guards                bool // it is of the kind that security products are
	active                bool // "[activated enabled]": anything else does nothing
}

var extensionCount = regexp.MustCompile(`^([0-9]{1,4}) extension\(s\)$`)

// readExtensions asks for the system extensions.
func readExtensions(ctx context.Context, sys system.Reader) ([]systemExtension, error) {
	out, err := sys.Run(ctx, system.SystemExtensions)
	if err != nil {
		return nil, err
	}
	return parseExtensions(out.Stdout)
}

// parseExtensions reads the list, whose columns are divided by tabs:
//
//	1 extension(s)
//	--- com.apple.system_extension.endpoint_security
//	enabled	active	teamID	bundleID (version)	name	[state]
//	*	*	UBF8T346G9	com.microsoft.wdav.epsext (101.98/101.98)	Microsoft Defender	[activated enabled]
func parseExtensions(data []byte) ([]systemExtension, error) {
	text, err := wholeText(data)
	if err != nil {
		return nil, err
	}
	first, rest, _ := strings.Cut(text, "\n")
	m := extensionCount.FindStringSubmatch(strings.TrimSpace(first))
	if m == nil {
		return nil, errUnknown
	}
	count, err := strconv.Atoi(m[1])
	if err != nil {
		return nil, errUnknown
	}
	var list []systemExtension
	guards := false
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, " \t\r\n")
		if kind, ok := strings.CutPrefix(line, "--- "); ok {
			kind, _, _ = strings.Cut(kind, " ")
			guards = kind == "com.apple.system_extension.endpoint_security"
			continue
		}
		columns := strings.Split(line, "\t")
		state := columns[len(columns)-1]
		if len(columns) < 6 || !strings.HasPrefix(state, "[") || !strings.HasSuffix(state, "]") || state == "[state]" {
			continue
		}
		bundle, version, _ := strings.Cut(columns[3], " (")
		version, _, _ = strings.Cut(strings.TrimSuffix(version, ")"), "/")
		list = append(list, systemExtension{
			team: columns[2], bundle: bundle, version: version, guards: guards, active: state == "[activated enabled]",
		})
	}
	if len(list) < count {
		return nil, errUnknown // it was cut, or its columns are others by now
	}
	return list, nil
}

// extensions are what could be read of them.
type extensions struct {
	list []systemExtension
	err  error
}

// of returns whether a maker's extension of a name guards the system, and
// whether there is one at all. A state other than "activated enabled", such as
// "activated waiting for user", guards nothing.
func (e extensions) of(team, prefix string) (active posture.Reading[bool], there bool) {
	if e.err != nil {
		return posture.Unread[bool](macAbsence(e.err)), false
	}
	for _, x := range e.list {
		if x.team == team && x.guards && strings.HasPrefix(x.bundle, prefix) {
			there = true
			if x.active {
				return posture.Read(true), true
			}
		}
	}
	return posture.Read(false), there
}
