package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// serviceList is what Windows says of its services, or why it could not be
// read.
type serviceList struct {
	list []service
	err  error
}

type service struct {
	name         string // in lower case
	state, start posture.Reading[int64]
}

const (
	serviceRunning  = 4 // SERVICE_RUNNING
	serviceDisabled = 4 // SERVICE_DISABLED
)

func readServices(ctx context.Context, sys system.Reader) serviceList {
	rows, err := sys.Rows(ctx, system.Services)
	switch {
	case missing(err):
		return serviceList{err: errLost}
	case err != nil:
		return serviceList{err: err}
	case len(rows) == 0:
		return serviceList{err: errLost} // something always runs
	}
	var l serviceList
	for _, row := range rows {
		name := row.Text("Name")
		if !name.Known() {
			return serviceList{err: errUnknown} // which one is not told is any of them
		}
		l.list = append(l.list, service{strings.ToLower(name.Value), row.Number("State"), row.Number("Start")})
	}
	return l
}

// matching returns the services of these names. One that ends with '*' stands
// for all that begin with it.
func (l serviceList) matching(names []string) (found []service) {
	for _, s := range l.list {
		for _, name := range names {
			name = strings.ToLower(name)
			prefix, many := strings.CutSuffix(name, "*")
			if s.name == name || many && strings.HasPrefix(s.name, prefix) {
				found = append(found, s)
			}
		}
	}
	return found
}

// running reports whether one of these services runs.
func (l serviceList) running(names ...string) posture.Reading[bool] {
	if l.err != nil {
		return absentFor[bool](l.err)
	}
	unsure := posture.Read(false)
	for _, s := range l.matching(names) {
		switch {
		case s.state.Known() && s.state.Value == serviceRunning:
			return posture.Read(true)
		case !s.state.Known():
			unsure = posture.Unread[bool](s.state.Absent)
		}
	}
	return unsure
}

// disabled reports whether one of these services is kept from ever starting.
func (l serviceList) disabled(names ...string) posture.Reading[bool] {
	if l.err != nil {
		return absentFor[bool](l.err)
	}
	unsure := posture.Read(false)
	for _, s := range l.matching(names) {
		switch {
		case s.start.Known() && s.start.Value == serviceDisabled:
			return posture.Read(true)
		case !s.start.Known():
			unsure = posture.Unread[bool](s.start.Absent)
		}
	}
	return unsure
}

// rowsetGap says for people which question was not answered, with the system's
// own code of the failure.
func rowsetGap(r system.Rowset, err error) posture.Gap {
	source := string(r)
	for _, spec := range system.Rowsets() {
		if spec.Name == r {
			source = spec.From
		}
	}
	return posture.Gap{Source: codedSource(source, err), Absent: system.Absence(err)}
}

// isServer reports whether this is a Windows Server, by the product type that
// Windows gives itself.
func isServer(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	row, err := onlyRow(ctx, sys, system.MachineRow)
	if err != nil {
		return absentFor[bool](err)
	}
	kind := row.Number("ProductType")
	switch {
	case !kind.Known():
		return posture.Unread[bool](kind.Absent)
	case kind.Value == workstation:
		return posture.Read(false)
	case kind.Value == 2, kind.Value == 3:
		return posture.Read(true)
	}
	return posture.Unread[bool](posture.Unreadable)
}
