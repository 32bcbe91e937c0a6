package web

import (
	"slices"

	"github.com/caretaker-school/caretaker/collector/access"
)

// menuLink is one link of the menu of a school.
type menuLink struct {
	Words, Address string
	Current        bool
}

// menuItem is a part of a school's pages that the menu leads to.
type menuItem struct {
	name, words, path string // path is below the school's own address
	right             access.Right
}

// daily is what people come for day by day, in the order of the menu, and
// beside is what they come for now and then. On a phone these are folded away.
var (
	daily = [...]menuItem{
		{"overview", "Overview", "", access.ReadDevices},
		{"devices", "Devices", "/devices", access.ReadDevices},
		{"breaches", "Policy breaches", "/breaches", access.ReadDevices},
		{"exemptions", "Exemptions", "/exemptions", access.ReadDevices},
		{"incidents", "Incidents", "/incidents", access.ReadIncidents},
		{"evidence", "Evidence", "/evidence", access.ReadEvidence},
	}
	beside = [...]menuItem{
		{"register", "Register", "/register", access.ReadRegister},
		{"trends", "Trends", "/trends", access.ReadTrends},
		{"terms", "Terms", "/terms", access.ReadTerms},
		{"policy", "Policy", "/policy", access.ReadDevices},
		{"mine", "Your laptop", "/mine", access.ReadOwn},
		{"restricted", "Restricted", "/restricted", access.BeSenior},
		{"privacy", "Privacy", "/privacy", access.ReadPrivacy},
		{"settings", "Settings", "/settings", access.ReadSettings},
	}
)

// menuOf is a part of the menu of a school as an account may have it.
func menuOf(v visit, part []menuItem, current string) (links []menuLink) {
	for _, m := range part {
		if v.account.May(v.school.ID, m.right) {
			links = append(links, menuLink{m.words, schoolAddress(v.school.ID) + m.path, m.name == current})
		}
	}
	return links
}

// folded is the part of the menu that is folded away on a phone. Here is what it
// says of the page that is open, if that is in it.
type folded struct {
	Links []menuLink
	Here  string
}

// foldedOf adds to the sections beside the daily ones what is no school's own.
func foldedOf(v visit, current string) (f folded) {
	if v.school.ID != "" {
		f.Links = menuOf(v, beside[:], current)
	}
	if slices.ContainsFunc(v.account.Grants, func(g access.Grant) bool { return g.Role.May(access.KeepBaseline) }) {
		f.Links = append(f.Links, menuLink{"Trusts", "/trusts", current == "trusts"})
	}
	f.Links = append(f.Links, menuLink{"What the school can see", collectedAddress(v), current == "collected"})
	for _, l := range f.Links {
		if l.Current {
			f.Here = l.Words
		}
	}
	return f
}
