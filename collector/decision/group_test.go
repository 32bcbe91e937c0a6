package decision

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestGroupsOfADevice(t *testing.T) {
	was := []string{"Science lab", "Year 6"}
	for name, c := range map[string]struct {
		Grouping
		want []string
	}{
		"joins":              {Grouping{Add: []string{"Choir"}}, []string{"Choir", "Science lab", "Year 6"}},
		"joins again":        {Grouping{Add: []string{"Year 6"}}, was},
		"leaves":             {Grouping{Remove: []string{"Year 6"}}, []string{"Science lab"}},
		"leaves all":         {Grouping{Remove: []string{"Year 6", "Science lab"}}, nil},
		"leaves and joins":   {Grouping{Remove: []string{"Year 6"}, Add: []string{"Year 6"}}, was},
		"is in no other":     {Grouping{Only: true, Groups: []string{"Choir"}}, []string{"Choir"}},
		"is in none":         {Grouping{Only: true}, nil},
		"another class only": {Grouping{Class: posture.SchoolMultiUser}, was},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := c.Of(was); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	if !slices.Equal(was, []string{"Science lab", "Year 6"}) {
		t.Errorf("what was became %q", was)
	}
	many := Grouping{Only: true}
	for i := range mostDeviceGroups + 1 {
		many.Groups = append(many.Groups, fmt.Sprintf("group %d", i))
	}
	if _, err := many.Of(nil); err == nil {
		t.Error("a device is in any number of groups")
	}
	for name, g := range map[string]Grouping{
		"nothing":           {},
		"no class":          {Class: "nobody's"},
		"a pupil's":         {Class: posture.StudentOwned},
		"a teacher's own":   {Class: posture.StaffOwned},
		"a visitor's":       {Class: posture.VisitorOwned},
		"a name of nothing": {Add: []string{""}},
		"a name of two":     {Add: []string{"Choir;Year 6"}},
		"a name that hides": {Remove: []string{"Year\u202e6"}},
		"spaces around it":  {Only: true, Groups: []string{" Choir"}},
	} {
		if g.Check() == nil {
			t.Errorf("%s was found good", name)
		}
	}
}
