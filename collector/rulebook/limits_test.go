package rulebook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/shared/policy"
)

// TestTenThousandRulesAreRefused: with the line of the first that is too many, or
// of the place where the text became too long; and soon, whatever they hold.
func TestTenThousandRulesAreRefused(t *testing.T) {
	rules := func(of string) string {
		var b strings.Builder
		b.WriteString("name: own\ntitle: Own rules\nrules:\n")
		for n := range 10_000 {
			fmt.Fprintf(&b, of, n)
		}
		return b.String()
	}
	short := rules("- {id: A-%d}\n")
	problems, err := Check("own.yaml", []byte(short))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("own.yaml:%d:3: rules has 10000 items, more than %d: this is the first too many", 4+policy.MostRules, policy.MostRules)
	if len(problems) != 1 || problems[0].String() != want {
		t.Errorf("got %v, want %s", problems, want)
	}
	long := rules("- id: A-%d\n  title: T\n  severity: low\n  classes: [SS]\n  clauses: []\n  met: M\n  notMet: N\n  remediation: R\n  require: facts.security.firewall\n")
	problems, err = Check("own.yaml", []byte(long))
	if err != nil {
		t.Fatal(err)
	}
	line := 1 + strings.Count(long[:mostSource], "\n")
	if len(problems) != 1 || problems[0].Line != line || !strings.Contains(problems[0].Message, "more than 262144") {
		t.Errorf("got %v, want line %d", problems, line)
	}
}

// TestEveryRuleThatCostsTooMuchIsNamed: each with its own line.
func TestEveryRuleThatCostsTooMuchIsNamed(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: own\ntitle: Own rules\nrules:\n")
	const costly = "facts.programs.all(p, facts.programs.exists(q, p.name == q.name))"
	for n, require := range []string{costly, "facts.security.firewall", costly} {
		fmt.Fprintf(&b, "- id: A-%d\n  title: T\n  severity: low\n  classes: [SS]\n  clauses: []\n  met: M\n  notMet: N\n  remediation: R\n  require: %s\n", n, require)
	}
	problems, err := Check("own.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 2 || problems[0].Line != 12 || problems[1].Line != 30 || !strings.Contains(problems[0].Message, "may cost") {
		t.Errorf("got %v", problems)
	}
}
