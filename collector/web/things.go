package web

import (
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// A rule about programs, sticks or disks may find many of them on one device.
// Pages show these as one entry, with the things in a list that opens.

// thing is one of them.
type thing struct {
	Label string
	Where string // the class of place where it lies, or ""
	Hash  string // the beginning of its fingerprint, or ""
	Words string // what was found of it, where that is not said for all
	Note  string // such as its status, where they differ
	Since *moment
}

// mostThings bounds how many things an entry lists.
const mostThings = 40

// newThing names a subject. What tells programs apart that have no name of
// their own is in the subject's key: where it lies, and its fingerprint.
func newThing(s posture.Subject) thing {
	t := thing{Label: s.Label}
	if s.Kind != "executable" {
		return t
	}
	place, hash, ok := strings.Cut(s.Key, ":")
	if !ok || place == "sha256" { // a key too long to be kept as it was
		return t
	}
	t.Where = location(posture.Location(place))
	if len(hash) == 64 {
		t.Hash = short(hash)
		t.Label = strings.TrimSuffix(t.Label, " "+hash[:8])
	}
	t.Label = capital(t.Label)
	return t
}

// subjectLabel names a subject in one line beside words that may name it
// already; the device itself needs no name.
func subjectLabel(s posture.Subject, words string) string {
	if s.Kind == "device" {
		return ""
	}
	t := newThing(s)
	if strings.Contains(words, s.Label) {
		t.Label = ""
	}
	parts := slices.DeleteFunc([]string{t.Label, t.Where, t.Hash}, func(p string) bool { return p == "" })
	return strings.Join(parts, " · ")
}

// things counts the subjects of a kind in words.
func things(n int, kind string) string {
	switch kind {
	case "program", "executable":
		return count(n, "program")
	case "medium":
		if n == 1 {
			return "1 stick, card or disc"
		}
		return number(n) + " sticks, cards or discs"
	case "volume":
		return count(n, "disk")
	case "antivirus":
		return count(n, "product")
	}
	return count(n, "thing")
}

// groupFindings puts findings of one rule with one standing together, in the
// order of their newest.
func groupFindings(findings []view.Finding) [][]view.Finding {
	type key struct {
		rule     string
		standing view.Standing
	}
	at := map[key]int{}
	var groups [][]view.Finding
	for _, f := range findings {
		k := key{f.Rule, f.Standing}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b view.Finding) int { return b.Since.Compare(a.Since) })
	}
	return groups
}

// groupBreaches puts the breaches of one rule on a device together: those that
// stand, and those that are resolved. They come newest first and stay so.
func groupBreaches(breaches []view.Breach) []view.BreachGroup {
	type key struct {
		rule     string
		resolved bool
	}
	at := map[key]int{}
	var groups []view.BreachGroup
	for _, b := range breaches {
		k := key{b.Rule, b.Status == breach.Resolved}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k] = i
			groups = append(groups, view.BreachGroup{Breach: b})
		}
		g := &groups[i]
		g.Count++
		g.Things = append(g.Things, b)
		g.Severity = max(g.Severity, b.Severity)
		j := slices.IndexFunc(g.Statuses, func(c view.StatusCount) bool { return c.Status == b.Status })
		if j < 0 {
			g.Statuses, j = append(g.Statuses, view.StatusCount{Status: b.Status}), len(g.Statuses)
		}
		g.Statuses[j].Count++
	}
	for i := range groups {
		slices.SortStableFunc(groups[i].Statuses, func(a, b view.StatusCount) int { return urgency(a.Status) - urgency(b.Status) })
		groups[i].Status = groups[i].Statuses[0].Status
	}
	return groups
}

// urgent is the order of statuses from the one that needs somebody most.
var urgent = [...]breach.Status{breach.Open, breach.Acknowledged, breach.Pending, breach.Exempt, breach.Resolved, breach.NotYet}

func urgency(s breach.Status) int { return slices.Index(urgent[:], s) }
