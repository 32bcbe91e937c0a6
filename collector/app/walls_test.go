package app

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// operations lists what the console can be asked, as the code has it.
func operations(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "operations.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok {
			return true
		}
		if f.Name.Name != "do" {
			return false
		}
		ast.Inspect(f, func(n ast.Node) bool {
			c, ok := n.(*ast.CaseClause)
			if !ok {
				return true
			}
			for _, e := range c.List {
				if l, ok := e.(*ast.BasicLit); ok {
					name, err := strconv.Unquote(l.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, name)
				}
			}
			return true
		})
		return false
	})
	slices.Sort(names)
	return names
}

// wall is how an operation is asked about a school and a device.
type wall struct {
	school func(name string) any // arguments that name a school; nil: the operation is about all of them, and the console's owner may ask it
	every  bool                  // without a school it is about every one
	device func(name string) any // arguments that name a device of a school, if it is about one
}

// TestEveryOperationStaysInItsSchool: an operation that is about one school
// answers for a school that there is not with the same word as every other, and
// for a device of another school as for one that there is not. An operation
// that is not in this table fails it.
func TestEveryOperationStaysInItsSchool(t *testing.T) {
	data := t.TempDir()
	mine := do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"}).School
	do[InitAnswer](t, data, "init", InitArguments{School: "Ashfield Primary School"})
	makeToken(t, data, mine)
	const none, both = `there is no school "Fernleigh Infants"`, "there are 2 schools: say which with --school"
	table := map[string]wall{
		"init":             {},
		"status":           {},
		"account.list":     {},
		"backup.take":      {},
		"backup.note":      {},
		"view.rebuild":     {},
		"account.create":   {every: true, school: func(s string) any { return AccountArguments{Name: "x", Role: "head", Schools: []string{s}} }},
		"token.create":     {school: func(s string) any { return TokenArguments{School: s, Uses: 1} }},
		"policy.show":      {school: func(s string) any { return PolicyArguments{School: s} }},
		"policy.diff":      {school: func(s string) any { return DiffArguments{School: s} }},
		"policy.rollback":  {school: func(s string) any { return PolicyArguments{School: s, Number: 1} }},
		"policy.choose":    {school: func(s string) any { return ChooseArguments{School: s, Choices: map[string]string{"media": "ban"}} }},
		"policy.publish":   {school: func(s string) any { return PublishArguments{School: s} }},
		"report.make":      {school: func(s string) any { return TermArguments{School: s, Term: "2026-09-03"} }},
		"report.sign":      {school: func(s string) any { return TermArguments{School: s, Term: "2026-09-03", As: "head"} }},
		"report.show":      {school: func(s string) any { return TermArguments{School: s, Term: "2026-09-03"} }},
		"report.year.make": {school: func(s string) any { return YearArguments{School: s, Year: "2026-27"} }},
		"report.year.sign": {school: func(s string) any { return YearArguments{School: s, Year: "2026-27", As: "head"} }},
		"report.year.show": {school: func(s string) any { return YearArguments{School: s, Year: "2026-27"} }},
		"report.year.list": {school: func(s string) any { return YearArguments{School: s} }},
		"report.list":      {school: func(s string) any { return TermArguments{School: s} }},
		"report.month":     {school: func(s string) any { return TrendArguments{School: s} }},
		"trends.show":      {school: func(s string) any { return TrendArguments{School: s} }},
		"trends.changes":   {school: func(s string) any { return TrendArguments{School: s} }},
		"calendar.set":     {school: func(s string) any { return CalendarArguments{School: s} }},
		"calendar.show":    {school: func(s string) any { return CalendarArguments{School: s} }},
		"policy.progress":  {}, // of a preview whose name only its caller knows
		"device.list":      {school: func(s string) any { return ListArguments{School: s} }},
		"breach.list":      {school: func(s string) any { return ListArguments{School: s} }},
		"breach.decide": {
			school: func(s string) any {
				return DecideArguments{School: s, Kind: decision.Acknowledge, Device: "d", Rule: "ENC-01", Reason: "x"}
			},
			device: func(d string) any {
				return DecideArguments{School: string(mine), Kind: decision.Acknowledge, Device: d, Rule: "ENC-01", Reason: "x"}
			},
		},
		"exemption.ask": {
			school: func(s string) any {
				return AskExemptionArguments{School: s, Rule: "ENC-01", Device: "d", Until: time.Now().Add(time.Hour), Reason: "x"}
			},
			device: func(d string) any {
				return AskExemptionArguments{School: string(mine), Rule: "ENC-01", Device: d, Until: time.Now().Add(time.Hour), Reason: "x"}
			},
		},
		"exemption.decide": {school: func(s string) any {
			return ExemptionArguments{School: s, Kind: decision.RefuseExemption, ID: "ex-1", Reason: "x"}
		}},
		"exemption.list": {
			school: func(s string) any { return ListExemptionsArguments{School: s, Device: "d"} },
			device: func(d string) any { return ListExemptionsArguments{School: string(mine), Device: d} },
		},
		"evidence.device": {
			school: func(s string) any { return EvidenceArguments{School: s, Device: "d"} },
			device: func(d string) any { return EvidenceArguments{School: string(mine), Device: d} },
		},
		"evidence.school": {school: func(s string) any { return PositionArguments{School: s, At: time.Now().Add(-time.Hour)} }},
		"notice.add": {school: func(s string) any {
			return NoticeArguments{School: s, Kind: "syslog", Role: "dpo", Address: "udp://127.0.0.1:514"}
		}},
		"notice.list":            {},
		"notice.log":             {},
		"notice.remove":          {},
		"notice.set":             {},
		"notice.test":            {},
		"key.create":             {},
		"key.list":               {},
		"key.revoke":             {},
		"ledger.verify":          {school: func(s string) any { return LedgerArguments{School: s} }},
		"ledger.checkpoint":      {school: func(s string) any { return LedgerArguments{School: s} }},
		"ledger.show":            {school: func(s string) any { return LedgerArguments{School: s, Count: 1} }},
		"ledger.forget":          {school: func(s string) any { return ForgetArguments{School: s, Class: "media", DryRun: true} }},
		"register.guest-notices": {school: func(s string) any { return GuestNoticeArguments{School: s} }},
		"retention.show":         {school: func(s string) any { return RetentionArguments{School: s} }},
		"retention.set":          {school: func(s string) any { return RetentionArguments{School: s, Reason: "x"} }},
		"retention.preview":      {school: func(s string) any { return RetentionArguments{School: s} }},
		"retention.run":          {school: func(s string) any { return RetentionArguments{School: s} }},
		"device.show":            {school: func(s string) any { return ListArguments{School: s, Device: "d"} }, device: func(d string) any { return ListArguments{School: string(mine), Device: d} }},
		"device.assess":          {school: func(s string) any { return ListArguments{School: s, Device: "d"} }, device: func(d string) any { return ListArguments{School: string(mine), Device: d} }},
	}
	for name, row := range accountWalls() {
		table[name] = row
	}
	for name, row := range registerWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range assignWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range admissionWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range incidentWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range concernWalls() {
		table[name] = row
	}
	for name, row := range disputeWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range looksWalls(string(mine)) {
		table[name] = row
	}
	for name, row := range restrictedWalls() {
		table[name] = row
	}
	for _, name := range []string{"preview", "draft", "drafts", "approve", "withdraw", "approvers"} {
		row := table["policy."+name]
		row.school = func(s string) any { return PreviewArguments{School: s, Draft: "autumn"} }
		table["policy."+name] = row
	}
	for _, name := range []string{"join", "leave", "allow", "end"} {
		table["trust."+name] = wall{school: func(s string) any {
			return TrustArguments{School: s, Trust: "Northfield", Items: []string{"ENC-01"}, Reason: "x"}
		}}
	}
	for _, name := range []string{"device.class", "group.add", "group.remove", "group.import"} {
		table[name] = wall{
			school: func(s string) any {
				return GroupArguments{School: s, Devices: []string{"d"}, Class: "authorised", Reason: "x"}
			},
			device: func(d string) any {
				return GroupArguments{School: string(mine), Devices: []string{d}, Class: "authorised", Reason: "x"}
			},
		}
	}
	for _, name := range []string{"list", "show", "people", "record", "export", "sheet"} {
		table["subject."+name] = wall{school: func(s string) any { return SubjectArguments{School: s, ID: "sr-1"} }}
	}
	for _, name := range []string{"particulars.show", "particulars.set"} {
		table[name] = wall{school: func(s string) any { return ParticularsArguments{School: s} }}
	}
	for _, name := range []string{"update.offer", "update.stop", "update.show"} {
		table[name] = wall{school: func(s string) any { return UpdateArguments{School: s} }}
	}
	table["update.add"] = wall{} // a release is the publisher's, and no school's
	table["group.list"] = wall{school: func(s string) any { return ListArguments{School: s} }}
	for _, name := range []string{"show", "draft", "publish"} {
		table["trust."+name] = wall{} // about all schools of a trust
	}
	all := operations(t)
	for _, name := range all {
		if _, ok := table[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
	c, err := open(t.Context(), data, false, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.catchUp(t.Context())
	ask := func(operation string, arguments any) error {
		body, err := json.Marshal(arguments)
		if err == nil {
			_, err = c.answer(t.Context(), operation, body)
		}
		return err
	}
	for name, row := range table {
		if !slices.Contains(all, name) {
			t.Errorf("there is no operation %s", name)
		}
		if row.school == nil {
			continue
		}
		if err := ask(name, row.school("Fernleigh Infants")); err == nil || err.Error() != none {
			t.Errorf("%s of no school: got %v, want %s", name, err, none)
		}
		if err := ask(name, row.school("")); !row.every && (err == nil || err.Error() != both) {
			t.Errorf("%s without a school: got %v, want %s", name, err, both)
		}
		if row.device == nil {
			continue
		}
		if err := ask(name, row.device("nobody's")); err == nil || !strings.Contains(err.Error(), `has no device "nobody's"`) {
			t.Errorf("%s of no device: got %v", name, err)
		}
	}
	if err := ask("dance", struct{}{}); err == nil || errors.Is(err, view.ErrNotFound) || !strings.Contains(err.Error(), "no operation") {
		t.Errorf("got %v", err)
	}
}
