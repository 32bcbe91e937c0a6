package app

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/fault"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// GroupArguments say of which class and groups devices are.
type GroupArguments struct {
	School  string            `json:"school"`
	Devices []string          `json:"devices,omitempty"` // identifiers, host names or asset tags
	Class   posture.Ownership `json:"class,omitempty"`
	Add     []string          `json:"add,omitempty"`
	Remove  []string          `json:"remove,omitempty"`
	File    string            `json:"file,omitempty"` // name of a list in CSV, for errors
	Source  []byte            `json:"source,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Key     string            `json:"key,omitempty"` // of the account that decides; "": the console's operator
}

// GroupAnswer is what became of devices.
type GroupAnswer struct {
	School  posture.SchoolID `json:"school"`
	Changed []AssignAnswer   `json:"changed"`
	Same    int              `json:"same"` // devices that were so already
}

// GroupList is the groups of a school.
type GroupList struct {
	School posture.SchoolID `json:"school"`
	Groups []view.Group     `json:"groups"`
}

func (c *collector) groups(ctx context.Context, a ListArguments) (GroupList, error) {
	s, err := c.record(a.School)
	if err != nil {
		return GroupList{}, err
	}
	list, err := c.view.Queries().Groups(ctx, s.id, c.clock.Now())
	return GroupList{School: s.id, Groups: list}, err
}

// grouped is one device and what it is to be.
type grouped struct {
	device posture.DeviceID
	line   int // of the list; 0: of none
	decision.Grouping
}

// group says of which class and groups devices are. Nothing is recorded unless
// every device is known and everything can be.
func (c *collector) group(ctx context.Context, a GroupArguments) (GroupAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return GroupAnswer{}, err
	}
	by, err := c.decider(a.Key, s.ID, access.GroupDevices)
	if err != nil {
		return GroupAnswer{}, err
	}
	d := decision.Decision{Kind: decision.Assign, By: by, At: c.clock.Now(), Reason: a.Reason}
	if err := d.CheckNew(); err != nil {
		return GroupAnswer{}, err
	}
	all, err := c.groupings(ctx, a)
	if err != nil {
		return GroupAnswer{}, err
	}
	return c.regroupAll(ctx, s, a.File, all, d)
}

// regroupAll records what every device is to be, together, and waits for it to be
// shown once. If anything is wrong nothing is recorded.
func (c *collector) regroupAll(ctx context.Context, s *school, file string, all []grouped, d decision.Decision) (GroupAnswer, error) {
	answer := GroupAnswer{School: s.ID, Changed: []AssignAnswer{}}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if err := s.roster.CatchUp(ctx); err != nil {
		return answer, err
	}
	var entries []ledger.Entry
	var wrong fault.ListError
	for _, g := range all {
		one := AssignAnswer{School: s.ID, Device: g.device}
		made, err := c.regrouped(ctx, s, g, d, &one)
		switch refused, is := errors.AsType[*decision.RefusedError](err); {
		case is && g.line > 0:
			wrong = append(wrong, fault.Fault{File: file, Line: g.line, Column: 1, Message: refused.Why})
		case err != nil:
			return GroupAnswer{School: s.ID}, fmt.Errorf("device %s: nothing was recorded: %w", g.device, err)
		case made == nil:
			answer.Same++
		default:
			entries, answer.Changed = append(entries, *made), append(answer.Changed, one)
		}
	}
	if len(wrong) > 0 {
		return GroupAnswer{School: s.ID}, fmt.Errorf("nothing was recorded:\n%w", wrong.Sorted())
	}
	if len(entries) == 0 {
		return answer, nil
	}
	defer c.show(ctx, s)
	at, err := s.Append(ctx, entries...)
	if err != nil {
		return GroupAnswer{School: s.ID}, err
	}
	for i := range answer.Changed {
		answer.Changed[i].Entry = uint64(at[i])
	}
	return answer, nil
}

// regrouped returns the entry that makes a device what it is to be, nil if it is
// that already, and puts its assignment into one.
func (c *collector) regrouped(ctx context.Context, s *school, g grouped, d decision.Decision, one *AssignAnswer) (made *ledger.Entry, err error) {
	if err := c.assignable(ctx, s.ID, g.device); err != nil {
		return nil, err
	}
	section, err := salted(d)
	if err != nil {
		return nil, err
	}
	var refused error
	one.Assignment, made, err = c.reassigned(ctx, s, g.device, func(a *policy.Assignment) {
		was := *a
		if refused = g.into(a); refused != nil {
			*a = was
		}
	}, section)
	if refused != nil {
		return nil, refused
	}
	return made, err
}

// Group implements api.Grouper.
func (c *collector) Group(ctx context.Context, id posture.SchoolID, device posture.DeviceID, d decision.Decision, g decision.Grouping) (entry uint64, err error) {
	_, entry, err = c.assignAs(ctx, id, device, d, grouped{Grouping: g}.into)
	return entry, err
}

// into puts what a device is to be into its assignment.
func (g grouped) into(a *policy.Assignment) (err error) {
	if g.Class != "" {
		a.Ownership = g.Class
	}
	a.Groups, err = g.Of(a.Groups)
	return err
}

// groupings returns the devices that are meant, those of a list with what it says
// of each.
func (c *collector) groupings(ctx context.Context, a GroupArguments) ([]grouped, error) {
	lines := []listedGroup{}
	var wrong fault.ListError
	if a.Source != nil {
		lines, wrong = parseGroups(a.File, a.Source)
		if len(a.Devices) > 0 {
			return nil, errors.New("give a list or devices, not both")
		}
	}
	for _, name := range a.Devices {
		lines = append(lines, listedGroup{name: name, Grouping: decision.Grouping{Class: a.Class, Add: a.Add, Remove: a.Remove}})
	}
	var all []grouped
	for _, l := range lines {
		device, err := c.device(ctx, ListArguments{School: a.School, Device: l.name})
		if err == nil {
			err = l.Check()
		}
		if err == nil && slices.ContainsFunc(all, func(g grouped) bool { return g.device == device.ID }) {
			err = fmt.Errorf("%s is there twice", l.name)
		}
		switch {
		case err != nil && l.line == 0:
			return nil, err
		case err != nil:
			wrong = append(wrong, fault.Fault{File: a.File, Line: l.line, Column: 1, Message: err.Error()})
		}
		all = append(all, grouped{device.ID, l.line, l.Grouping})
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("nothing was recorded:\n%w", wrong.Sorted())
	}
	if len(all) == 0 {
		return nil, errors.New("say which devices: by identifier, host name or asset tag")
	}
	return all, nil
}

// listedGroup is one line of a list.
type listedGroup struct {
	name string
	line int // 0: of no list
	decision.Grouping
}

// mostGroupList bounds a list, in bytes.
const mostGroupList = 4 << 20

// parseGroups reads a list in CSV. Its head names the columns device, class and
// groups, of which the last two may be left out; groups are parted by semicolons,
// and a device is in those and no other.
func parseGroups(file string, source []byte) (list []listedGroup, wrong fault.ListError) {
	at := func(line int, format string, args ...any) {
		wrong = append(wrong, fault.Fault{File: file, Line: line, Column: 1, Message: fmt.Sprintf(format, args...)})
	}
	if len(source) > mostGroupList {
		at(1, "the list has more than %d bytes", mostGroupList)
		return nil, wrong
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))))
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		at(1, "the list has no head: it begins with device,class,groups")
		return nil, wrong
	}
	columns := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := columns[name]; twice || !slices.Contains([]string{"device", "class", "groups"}, name) {
			at(1, "the list has a column %.40q: its columns are device, class and groups, each once", name)
		}
		columns[name] = i
	}
	if _, ok := columns["device"]; !ok {
		at(1, "the list has no column device")
	}
	for len(wrong) == 0 {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line := 1
			if place, ok := errors.AsType[*csv.ParseError](err); ok {
				line = max(place.Line, 1)
			}
			at(line, "the list cannot be read from here on: %s", err.Error())
			break
		}
		line, _ := r.FieldPos(0)
		field := func(name string) string {
			i, ok := columns[name]
			if !ok {
				return ""
			}
			return strings.TrimSpace(fields[i])
		}
		g := listedGroup{name: field("device"), line: line, Grouping: decision.Grouping{Class: posture.Ownership(field("class"))}}
		if _, g.Only = columns["groups"]; g.Only {
			for name := range strings.SplitSeq(field("groups"), ";") {
				if name = strings.TrimSpace(name); name != "" {
					g.Groups = append(g.Groups, name)
				}
			}
		}
		list = append(list, g)
	}
	return list, wrong
}
