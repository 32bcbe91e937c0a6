package particulars

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func hollybank() Particulars {
	return Particulars{
		Controller:   "The governors of Hollybank Primary School, Hollybank Lane, Ashfield",
		Officer:      Officer{Name: "Robin Hale", Mail: "dpo@hollybank.example", Phone: "01632 960123"},
		Loss:         Loss{Who: "School office", Phone: "01632 960100", After: "01632 960199"},
		Registration: "ZA000000", Regulator: "Information Commissioner's Office, ico.org.uk",
		Basis:      "Public task (UK GDPR, article 6(1)(e))",
		Processors: []Processor{{Name: "Northfield IT", For: "looks after the collector", Where: "at the school"}},
		Policies:   []Link{{Words: "Data protection policy", Address: "https://hollybank.example/policies/data"}},
	}
}

func TestWhatASchoolSaysIsChecked(t *testing.T) {
	if err := hollybank().Check(); err != nil {
		t.Fatal(err)
	}
	if err := (Particulars{}).Check(); err != nil || !(Particulars{}).Empty() || hollybank().Empty() {
		t.Errorf("nothing said is nothing wrong: %v", err)
	}
	for name, one := range map[string]struct {
		spoil func(*Particulars)
		field string
	}{
		"a mail without a host":        {func(p *Particulars) { p.Officer.Mail = "dpo" }, "officer.mail"},
		"a mail without a dot":         {func(p *Particulars) { p.Officer.Mail = "dpo@school" }, "officer.mail"},
		"a mail with a name around it": {func(p *Particulars) { p.Officer.Mail = "Robin <dpo@hollybank.example>" }, "officer.mail"},
		"two mails":                    {func(p *Particulars) { p.Officer.Mail = "a@b.example,c@d.example" }, "officer.mail"},
		"a phone without digits":       {func(p *Particulars) { p.Loss.Phone = "ask Sam" }, "loss.phone"},
		"two lines":                    {func(p *Particulars) { p.Loss.Who = "Office\nHead" }, "loss.who"},
		"turned text":                  {func(p *Particulars) { p.Officer.Name = "Robin \u202eelaH" }, "officer.name"},
		"no text":                      {func(p *Particulars) { p.Controller = "\xff" }, "controller"},
		"space around":                 {func(p *Particulars) { p.Registration = " ZA000000" }, "registration"},
		"a script":                     {func(p *Particulars) { p.Policies[0].Address = "javascript:alert(1)" }, "policies.1"},
		"a file":                       {func(p *Particulars) { p.Policies[0].Address = "file:///etc/passwd" }, "policies.1"},
		"an address with a password":   {func(p *Particulars) { p.Policies[0].Address = "https://a:b@hollybank.example/" }, "policies.1"},
		"an address of no host":        {func(p *Particulars) { p.Policies[0].Address = "https:///policies" }, "policies.1"},
		"a link without words":         {func(p *Particulars) { p.Policies[0].Words = "" }, "policies.1"},
		"a processor who is nowhere":   {func(p *Particulars) { p.Processors[0].Where = "" }, "processors.1"},
		"too many":                     {func(p *Particulars) { p.Processors = slices.Repeat(p.Processors, mostList+1) }, "processors"},
		"a very long basis":            {func(p *Particulars) { p.Basis = strings.Repeat("x", mostBasis+1) }, "basis"},
		"too much of everything": {func(p *Particulars) {
			p.Processors = slices.Repeat([]Processor{{strings.Repeat("é", mostLine), strings.Repeat("é", mostLine), "x"}}, 9)
		}, "processors"},
	} {
		p := hollybank()
		one.spoil(&p)
		problems := p.Problems()
		if len(problems) != 1 || problems[0].Field != one.field || p.Check() == nil {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}

func TestLinesLeaveOutWhatNobodySaid(t *testing.T) {
	p := hollybank()
	if got, want := p.OfficerLine(), "Robin Hale, dpo@hollybank.example, 01632 960123"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := p.LossLine(), "School office, 01632 960100, out of hours 01632 960199"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Particulars{Officer: Officer{Phone: "01632 960123"}}).OfficerLine(); got != "01632 960123" {
		t.Errorf("got %q", got)
	}
	if got := (Particulars{}).OfficerLine() + (Particulars{}).LossLine(); got != "" {
		t.Errorf("nothing said became %q", got)
	}
}

// TestWhatIsGoodFits: whatever passes is small enough for the decision that
// carries it, however JSON writes it.
func TestWhatIsGoodFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.StringOfN(rapid.RuneFrom([]rune("<>&é\"\\a ")), 0, mostLine, -1)
		p := hollybank()
		p.Basis = words.Draw(t, "basis")
		for range rapid.IntRange(0, mostList).Draw(t, "processors") {
			p.Processors = append(p.Processors, Processor{words.Draw(t, "name"), words.Draw(t, "for"), words.Draw(t, "where")})
		}
		if p.Check() != nil {
			return
		}
		data, err := json.Marshal(p)
		if err != nil || len(data) > 40<<10 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		var again Particulars
		if err := json.Unmarshal(data, &again); err != nil || !again.Equal(p) {
			t.Fatalf("read back: %+v, %v", again, err)
		}
	})
}
