package evidence

import "time"

// position writes where a school stood.
func (p *page) position() {
	where := p.b.Position
	p.d.Title = visible(p.b.SchoolName)
	p.d.Subtitle = "Where it stood at " + p.time(p.b.At)
	p.begin("")
	p.line("Devices\t%d enrolled, of which %d had been revoked; %d not heard from for longer than the %s that the policy allows",
		where.Devices, where.Revoked, where.Silent, span(time.Duration(p.b.Silence)*time.Second))
	if r := where.Register; r.Kept {
		p.line("Coverage\t%d of %d registered devices by an agent, %d by a list of what manages them", r.Agent, r.Registered, r.Import)
		p.line("Not covered\t%d with a silent agent, %d on a list that was too old, %d with nothing; %d devices with an agent are not in the register",
			r.Silent, r.StaleImport, r.Nothing, r.Unregistered)
	} else {
		p.line("Coverage\tnot known: no register of the school's devices was kept here")
	}
	if w := where.Policy; w != nil {
		p.line("Policy\tnumber %d, %s, published %s, entry %d", w.Number, visible(w.Title), p.time(w.At), w.Entry)
	} else {
		p.line("Policy\tthe one built into the agents: the school had published none")
	}
	if j := where.Judged; j != nil {
		p.line("Judged by it\t%d of %d devices; %d still by a policy before it, %d had reported nothing yet", j.Now, where.Devices, j.Before, j.Never)
	}
	table := p.begin("")
	table.Columns, table.Shown = []string{"Rule", "Met", "Not met", "Not proven", "Exempt", "Not for it", ""}, true
	for _, r := range where.Rules {
		p.line("%s\t%d\t%d\t%d\t%d\t%d\t%s (%s)", visible(r.Rule), r.Met, r.NotMet, r.NotProven, r.Exempt, r.NotFor, visible(r.Title), visible(r.Severity))
	}
	p.exemptions(where.Exemptions)
	p.begin("How this is known")
	p.line("Worked out\tfrom the first %d entries of the school's ledger: those that had been received by then", where.Before)
	p.line("Made\t%s by %s", p.time(p.b.MadeAt), visible(p.b.MadeBy))
	p.line("Proven here\twhich entries those are and which policy was in force; the numbers are the school's word, and follow from those entries")
	p.begin("What this cannot be evidence of")
	for _, w := range where.CannotSay {
		p.item(w)
	}
}

func (p *page) exemptions(list []Exempted) {
	if len(list) == 0 {
		p.begin("")
		p.line("Nothing was exempt from a rule.")
		return
	}
	p.begin("Exempt at that moment").Columns = []string{"Rule", "Of", "Terms"}
	for _, e := range list {
		p.line("%s\t%s\tuntil %s, asked for by %s, approved by %s", visible(e.Rule), visible(e.Of), p.time(e.Until), visible(e.AskedBy), visible(e.Approver))
	}
}

// Location is the zone in which a bundle is read: the one in which it was asked
// for, or the given one where it does not say or this machine does not know it.
func (b *Bundle) Location(otherwise *time.Location) *time.Location {
	if b.Zone == "" {
		return otherwise
	}
	zone, err := time.LoadLocation(b.Zone)
	if err != nil {
		return otherwise
	}
	return zone
}
