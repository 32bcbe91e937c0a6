package web

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// parameterWords are the parameters of the shipped policy as people speak of them.
// One that a school named itself stands under its own name.
var parameterWords = map[string]struct {
	label, hint string
	choices     map[string]string
}{
	"media": {"Removable media", "Memory sticks, cards, discs and disks that are plugged in.", map[string]string{
		"record": "Only record them", "encrypted": "They must be encrypted", "registered": "Encrypted, and on the school’s register", "ban": "Not to be used at all",
	}},
	"programs": {"Installed programs", "Programs in the system’s own list of what is installed.", map[string]string{
		"record": "Only record them", "deny": "Refuse those on the lists of what is denied", "allow": "Accept only those on the lists of what is allowed",
	}},
	"portablePrograms": {"Programs in people’s folders", "Executable files that lie in downloads, on the desktop or elsewhere without being installed.", map[string]string{
		"record": "Only record them", "deny": "Refuse those on the lists of what is denied", "allow": "Accept only those on the lists of what is allowed",
	}},
	"approvedAntivirus":      {"Approved antivirus", "Products by their identifiers, one a line, as laptops’ pages show them.", nil},
	"definitionsWithin":      {"How old antivirus definitions may be", "", nil},
	"updatesWithin":          {"How long an important update may wait", "", nil},
	"lockWithin":             {"After how long an idle laptop must lock itself", "", nil},
	"seenWithin":             {"How long a laptop may be silent in term before a warning", "", nil},
	"missingAfter":           {"How long until that is serious", "", nil},
	"encryptionProvenWithin": {"For how long a proof of encryption counts", "", nil},
	"clockWithin":            {"How far a laptop’s clock may be wrong", "", nil},
	"administratorsOnLoans":  {"How many of the school’s technicians may administer a laptop that is lent to a guest", "A number of accounts. Whose they are stays on the laptop.", nil},
	"allowedPrograms":        {"Allowed programs, by name", "One a line. Case does not matter; * stands for any characters. A name proves nothing.", nil},
	"deniedPrograms":         {"Denied programs, by name", "One a line. Case does not matter; * stands for any characters.", nil},
	"allowedPublishers":      {"Allowed publishers", "Of installed programs, one a line, as a program says of itself, which proves nothing.", nil},
	"deniedPublishers":       {"Denied publishers", "Of installed programs, one a line, as a program says of itself.", nil},
	"allowedExecutables":     {"Allowed files, by SHA-256", "One a line: exactly this file, wherever it lies.", nil},
	"deniedExecutables":      {"Denied files, by SHA-256", "One a line.", nil},
	"allowedSigners":         {"Allowed signers", "One a line, exactly as a valid signature names them.", nil},
	"deniedSigners":          {"Denied signers", "One a line, exactly as a signature names them.", nil},
	"deniedProducts":         {"Denied products", "Of files in people’s folders, one a line, as a file says of itself. * stands for any characters.", nil},
}

// parameterLabel is a parameter as people speak of it.
func parameterLabel(name string) string {
	if w, ok := parameterWords[name]; ok {
		return w.label
	}
	return name
}

// chosenWords is the value of a parameter in words, and its items if it is a list.
func chosenWords(p policy.Parameter) (words string, items []string) {
	switch p.Kind {
	case policy.TextsParameter:
		if len(p.Texts) == 0 {
			return "nothing is on the list", nil
		}
		return count(len(p.Texts), "item"), p.Texts
	case policy.DurationParameter:
		return exactly(time.Duration(p.Number)), nil
	case policy.NumberParameter:
		return number(int(p.Number)), nil
	case policy.FlagParameter:
		return yesNo(p.Flag), nil
	default:
		return choiceWords(p.Name, p.Text), nil
	}
}

// choiceWords is a choice of a parameter in words.
func choiceWords(name, choice string) string {
	if words, ok := parameterWords[name].choices[choice]; ok {
		return words
	}
	return choice
}

// units are those in which spans of time are written, the largest first, as a
// policy's text has them and as people do.
var units = [...]struct {
	of          time.Duration
	mark, words string
}{{24 * time.Hour, "d", "day"}, {time.Hour, "h", "hour"}, {time.Minute, "m", "minute"}, {time.Second, "s", "second"}}

// exactly is a span of time in the largest unit of which it is a whole number, so
// that what is read can be typed.
func exactly(d time.Duration) string {
	for _, u := range units {
		if d > 0 && d%u.of == 0 {
			return count(int(d/u.of), u.words)
		}
	}
	if d == 0 {
		return "none"
	}
	return d.String()
}

// graceTyped is a rule's grace as it can be typed.
func graceTyped(r policy.Rule) string {
	switch {
	case r.Grace == 0:
		return "none"
	case r.GraceIn == policy.SchoolDays:
		return count(int(r.Grace/(24*time.Hour)), "school day")
	case r.GraceIn == policy.OnlineTime:
		return exactly(r.Grace) + " online"
	default:
		return exactly(r.Grace)
	}
}

var (
	typedSpan   = regexp.MustCompile(`^(\d{1,6}) ?(d|days?|h|hours?|m|min|minutes?|s|seconds?|w|weeks?)( online)?$`)
	typedSchool = regexp.MustCompile(`^(\d{1,4}) ?school ?days?$`)
)

// writtenSpan turns a span of time as people type it into how a policy's text has
// it: "14 days" into "14d". ok is false for what it does not understand, which is
// then put to whoever reads policies, to be refused in words.
func writtenSpan(typed string) (written string, ok bool) {
	typed = strings.Join(strings.Fields(strings.ToLower(strings.ReplaceAll(typed, ",", ""))), " ")
	if typed == "none" || typed == "0" || typed == "" {
		return "0", true
	}
	if m := typedSchool.FindStringSubmatch(typed); m != nil {
		if m[1] == "1" {
			return "1 school day", true
		}
		return m[1] + " school days", true
	}
	m := typedSpan.FindStringSubmatch(typed)
	if m == nil {
		return "", false
	}
	n, mark := m[1], m[2][:1]
	if mark == "w" {
		weeks, err := strconv.Atoi(n)
		if err != nil {
			return "", false
		}
		n, mark = strconv.Itoa(7*weeks), "d"
	}
	return n + mark + m[3], true
}

// className is a class of ownership as schemes call it for short.
func className(o posture.Ownership) string {
	switch o {
	case posture.SchoolSingleUser:
		return "the school’s own, for one member of staff"
	case posture.SchoolMultiUser:
		return "the school’s own, shared"
	case posture.Authorised:
		return "not the school’s, authorised under its scheme"
	default:
		return string(o)
	}
}

// ofWhom says which laptops, and what on them, a rule is for.
func ofWhom(r policy.Rule) string {
	each := ""
	switch r.For {
	case "volume":
		each = "each disk of "
	case "medium":
		each = "each removable medium in "
	case "program":
		each = "each program that is installed on "
	case "executable":
		each = "each program in people’s folders on "
	case "antivirus":
		each = "each antivirus product on "
	}
	switch has := func(c posture.Ownership) bool { return slices.Contains(r.Classes, c) }; {
	case has(posture.SchoolSingleUser) && has(posture.SchoolMultiUser) && has(posture.Authorised):
		return each + "every laptop"
	case has(posture.SchoolSingleUser) && has(posture.SchoolMultiUser):
		return each + "every laptop of the school’s own"
	}
	classes := make([]string, len(r.Classes))
	for i, c := range r.Classes {
		classes[i] = className(c)
	}
	if len(classes) == 0 {
		return each + "no laptop"
	}
	return each + "laptops that are " + listed(classes, "or")
}

// listed joins words as a sentence does.
func listed(words []string, last string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], "; ") + "; " + last + " " + words[len(words)-1]
}

// inGeneral is what a rule says of a thing, said of no thing in particular.
func inGeneral(words, of string) string {
	name := map[string]string{"device": "laptop", "volume": "disk", "antivirus": "product"}[of]
	if name == "" {
		name = "its name"
	}
	return strings.ReplaceAll(words, policy.SubjectMark, "["+name+"]")
}

// worsening says how a rule's severity or grace differ in some cases, and how a
// breach that stands grows graver.
func worsening(r policy.Rule) (words []string) {
	for _, v := range r.Variants {
		own := r
		own.Grace = v.Grace
		words = append(words, fmt.Sprintf("in some cases %s, with %s to put it right", v.Severity, graceWords(graceTyped(own))))
	}
	if r.Escalate != nil {
		words = append(words, fmt.Sprintf("%s once it has stood for %s", r.Escalate.Severity, exactly(r.Escalate.After)))
	}
	return words
}

func graceWords(typed string) string {
	if typed == "none" {
		return "no time"
	}
	return typed
}

// changeItem is the rule or parameter of a change, as people speak of it.
func changeItem(c PolicyChange) string {
	switch {
	case c.Rule != "":
		return c.Rule
	case c.Parameter != "":
		return parameterLabel(c.Parameter)
	}
	return "The policy"
}

// differenceWords is a change in words, with choices as people speak of them.
func differenceWords(c PolicyChange) string {
	words := c.Words
	for choice, said := range parameterWords[c.Parameter].choices {
		words = strings.ReplaceAll(words, strconv.Quote(choice), "“"+said+"”")
	}
	return words
}

// itemWords is a rule, or a parameter as param.name, as people speak of it.
func itemWords(item string) string {
	if name, ok := strings.CutPrefix(item, "param."); ok {
		return parameterLabel(name)
	}
	return item
}

// fieldID makes the id of a field in a form out of a name of the school's.
func fieldID(kind, name string) string {
	return kind + "-" + strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-') {
			return r
		}
		return '_'
	}, name)
}

// isDay reports whether a text is a day as browsers write it.
func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}
