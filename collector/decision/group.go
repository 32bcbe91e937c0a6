package decision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Grouping is of which class and groups a device is to be.
type Grouping struct {
	Class  posture.Ownership `json:"class,omitempty"`  // "": as before
	Add    []string          `json:"add,omitempty"`    // groups that it joins
	Remove []string          `json:"remove,omitempty"` // and leaves
	Groups []string          `json:"groups,omitempty"` // with Only: the groups that it is in, and no other
	Only   bool              `json:"only,omitempty"`
}

// Bounds of groups.
const (
	mostGroupName    = 64 // bytes
	mostDeviceGroups = 32
)

// CheckGroup says what is wrong with the name of a group.
func CheckGroup(name string) error {
	if name == "" || len(name) > mostGroupName || !utf8.ValidString(name) || strings.Join(strings.Fields(name), " ") != name ||
		strings.ContainsAny(name, ";,") || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%.80q is no name of a group: it has at most %d bytes that people can see, without commas and semicolons", name, mostGroupName)
	}
	return nil
}

// CheckClass says why a device cannot be of a class.
func CheckClass(class posture.Ownership) error {
	switch class {
	case posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised:
		return nil
	case posture.StudentOwned, posture.StaffOwned, posture.VisitorOwned:
		return fmt.Errorf("devices of the class %s belong to a person and get no agent: revoke this one instead", class)
	}
	return fmt.Errorf("%.40q is not a class of ownership: it is school-single-user, school-multi-user or authorised", string(class))
}

// Check reports what a grouping lacks.
func (g Grouping) Check() error {
	if g.Class == "" && len(g.Add)+len(g.Remove) == 0 && !g.Only {
		return errors.New("say which class or which groups")
	}
	if g.Class != "" {
		if err := CheckClass(g.Class); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(g.Add, g.Remove, g.Groups) {
		if err := CheckGroup(name); err != nil {
			return err
		}
	}
	return nil
}

// Of returns the groups of a device that was in some.
func (g Grouping) Of(was []string) ([]string, error) {
	if g.Only {
		was = nil
	}
	left := slices.DeleteFunc(slices.Clone(was), func(name string) bool { return slices.Contains(g.Remove, name) })
	groups := slices.Concat(left, g.Groups, g.Add)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > mostDeviceGroups {
		return nil, &RefusedError{Why: fmt.Sprintf("a device is in %d groups at most", mostDeviceGroups)}
	}
	if len(groups) == 0 {
		return nil, nil
	}
	return groups, nil
}
