package assess

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestOnASharedLaptopNobodyLearnsOfAnother: whatever lies in people's folders,
// what one who sits at a laptop that several people use is told does not depend on
// what it is, nor on how many there are.
func TestOnASharedLaptopNobodyLearnsOfAnother(t *testing.T) {
	rules, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		said := func(class posture.Ownership, products []string) string {
			var facts posture.Facts
			facts.Executables = posture.Found[posture.Executable]("folders")
			for i, p := range products {
				facts.Executables.Items = append(facts.Executables.Items, posture.Executable{
					Location: posture.Downloads, Format: posture.PE, Product: posture.Read(p), Signature: posture.Read(posture.Unsigned),
					SHA256: posture.Read(strings.Repeat(string(rune('a'+i)), 64)),
				})
			}
			a := policy.Assignment{Number: 1, Ownership: class}
			v := selfView(rules, a, posture.Windows, policy.Evaluate(allowList(rules), a, facts, facts.Executables.ReadAt))
			var b strings.Builder
			for _, l := range v.Lines {
				b.WriteString(l.Rule + l.Title + l.Words + "\n")
			}
			return b.String()
		}
		product := rapid.SampledFrom([]string{"Moonshot Racer", "Private Matter", "Quiz"})
		some := rapid.SliceOfN(product, 1, 5).Draw(t, "some")
		other := rapid.SliceOfN(product, 1, 5).Draw(t, "other")
		if a, b := said(posture.SchoolMultiUser, some), said(posture.SchoolMultiUser, other); a != b || !strings.Contains(a, "EXE-03") || strings.Contains(a, some[0]) {
			t.Fatalf("shared, it says\n%s\nand\n%s", a, b)
		}
		if own := said(posture.SchoolSingleUser, some); !strings.Contains(own, some[0]) || !strings.Contains(own, "Downloads") {
			t.Fatalf("to whoever has it alone, it says\n%s", own)
		}
	})
}

// allowList is the baseline that allows only what is on its list.
func allowList(p *policy.Policy) *policy.Policy {
	next := *p
	next.Parameters = append([]policy.Parameter(nil), p.Parameters...)
	for i := range next.Parameters {
		if next.Parameters[i].Name == "portablePrograms" {
			next.Parameters[i].Text = "allow"
		}
	}
	return &next
}
