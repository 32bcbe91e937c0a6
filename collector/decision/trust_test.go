package decision

import (
	"errors"
	"testing"
	"time"
)

func ofTrust(kind Kind, by string, at time.Time, t Trust) Decision {
	if t.Name == "" {
		t.Name = "Northfield Trust"
	}
	return Decision{Kind: kind, By: by, At: at, Reason: "as agreed", Trust: &t}
}

// TestATrustHoldsASchool follows what a school's ledger says of its trust: who
// joins, what is in force, what is allowed and until when.
func TestATrustHoldsASchool(t *testing.T) {
	var p Policies
	entry, at := uint64(0), november
	take := func(d Decision, want bool) {
		t.Helper()
		if err := d.CheckNew(); err != nil {
			t.Fatal(err)
		}
		err := p.May(d)
		if _, refused := errors.AsType[*RefusedError](err); refused == want {
			t.Errorf("%s by %s: %v", d.Kind, d.By, err)
		}
		p.Take(entry, d)
		entry++
	}
	one, two := text("one"), text("two")
	take(ofTrust(PublishBaseline, "Robin Falk", at, Trust{Number: 1, Digest: one}), false) // it is in no trust
	take(ofTrust(JoinTrust, "console:root", at, Trust{}), true)
	take(ofTrust(JoinTrust, "Kim Otley", at, Trust{Name: "Southmoor Trust"}), false)
	take(ofTrust(PublishBaseline, "Kim Otley", at, Trust{Name: "Southmoor Trust", Number: 1, Digest: one}), false)
	take(ofTrust(PublishBaseline, "Robin Falk", at, Trust{Number: 1, Digest: one}), true)
	take(ofTrust(PublishBaseline, "Robin Falk", at, Trust{Number: 1, Digest: two}), false) // numbers rise

	// Two people, where the school asks for them; its policy may follow then.
	take(aboutPolicy(SetApprovers, "Ada Park", at, Policy{Approvers: 2}), true)
	take(ofTrust(PublishBaseline, "Robin Falk", at, Trust{Number: 2, Digest: two}), false)
	take(ofTrust(DraftBaseline, "Robin Falk", at, Trust{Digest: two}), true)
	take(ofTrust(PublishBaseline, "robin falk", at, Trust{Number: 2, Digest: two, Drafter: "Robin Falk"}), false)
	take(ofTrust(PublishBaseline, "console:root", at, Trust{Number: 2, Digest: two, Drafter: "Robin Falk"}), false)
	take(ofTrust(PublishBaseline, "Ines Moor", at, Trust{Number: 2, Digest: two, Drafter: "Somebody"}), false)
	take(aboutPolicy(PublishPolicy, "Ines Moor", at, Policy{Number: 1, Digest: two}), false)
	p.published = nil // it is published all the same, as one that lacks a second person
	take(ofTrust(PublishBaseline, "Ines Moor", at, Trust{Number: 2, Digest: two, Drafter: "Robin Falk"}), true)
	take(aboutPolicy(PublishPolicy, "Ines Moor", at, Policy{Number: 2, Digest: two}), true)
	if b, ok := p.trust.Baseline(); !ok || b.Number != 2 || b.Drafter != "Robin Falk" || b.By != "Ines Moor" || len(p.Published()) != 1 || p.Published()[0].Unapproved {
		t.Errorf("in force is %+v, and published %+v", b, p.Published())
	}

	// What is allowed ends by itself, or before.
	day := 24 * time.Hour
	allowed := Trust{Item: "ENC-03", Mark: one, Words: "its grace is 9 days", Asker: "Morgan Ellis", Until: at.Add(10 * day)}
	take(ofTrust(AllowLooser, "Robin Falk", at, allowed), true)
	if a := p.Oversight().Allowed[0]; !a.Runs(at) || a.Runs(at.Add(10*day)) || a.Runs(at.Add(-day)) {
		t.Errorf("allowed is %+v", a)
	}
	take(ofTrust(EndLooser, "Robin Falk", at.Add(day), Trust{Item: "ENC-04"}), false)
	take(ofTrust(EndLooser, "Robin Falk", at.Add(day), Trust{Item: "ENC-03"}), true)
	take(ofTrust(EndLooser, "Robin Falk", at.Add(2*day), Trust{Item: "ENC-03"}), false)
	if a := p.Oversight().Allowed[0]; a.Runs(at.Add(day)) || a.EndedBy != "Robin Falk" || !a.Ends().Equal(at.Add(day)) {
		t.Errorf("taken back it is %+v", a)
	}

	// It leaves by an account of the trust, and is held to nothing then.
	take(ofTrust(LeaveTrust, "console:root", at, Trust{}), false)
	take(ofTrust(LeaveTrust, "Robin Falk", at, Trust{}), true)
	if o := p.Oversight(); o.Trust != "" || o.Left != "Northfield Trust" || o.LeftBy != "Robin Falk" || len(o.Baselines) != 0 {
		t.Errorf("it left, and is held to %+v", o)
	}
}

// TestADecisionOfATrustIsWhole: what it lacks, or says that is not for it, is
// refused before it is recorded, and read by nobody.
func TestADecisionOfATrustIsWhole(t *testing.T) {
	good := Trust{Item: "ENC-03", Mark: text("one"), Words: "less", Asker: "Morgan Ellis", Until: november.Add(time.Hour)}
	if err := ofTrust(AllowLooser, "Robin Falk", november, good).CheckNew(); err != nil {
		t.Fatal(err)
	}
	but := func(change func(*Trust)) Trust {
		g := good
		change(&g)
		return g
	}
	for name, d := range map[string]Decision{
		"nothing":             {Kind: JoinTrust, By: "Robin Falk", At: november, Reason: "x"},
		"no text":             ofTrust(PublishBaseline, "Robin Falk", november, Trust{Number: 1}),
		"no number":           ofTrust(PublishBaseline, "Robin Falk", november, Trust{Digest: text("one")}),
		"a number too many":   ofTrust(DraftBaseline, "Robin Falk", november, Trust{Digest: text("one"), Number: 1}),
		"a name of nothing":   ofTrust(JoinTrust, "Robin Falk", november, Trust{Name: " "}),
		"a name that hides":   ofTrust(JoinTrust, "Robin Falk", november, Trust{Name: "North\u202efield"}),
		"no item":             ofTrust(AllowLooser, "Robin Falk", november, but(func(t *Trust) { t.Item = "" })),
		"not as it stands":    ofTrust(AllowLooser, "Robin Falk", november, but(func(t *Trust) { t.Mark = [32]byte{} })),
		"no end":              ofTrust(AllowLooser, "Robin Falk", november, but(func(t *Trust) { t.Until = time.Time{} })),
		"too long":            ofTrust(AllowLooser, "Robin Falk", november, but(func(t *Trust) { t.Until = november.AddDate(2, 0, 0) })),
		"whoever wrote it":    ofTrust(AllowLooser, "morgan ellis", november, good),
		"the console":         ofTrust(AllowLooser, "console:root", november, good),
		"of another kind too": {Kind: Acknowledge, By: "Robin Falk", At: november, Reason: "x", Trust: &good},
	} {
		if err := d.CheckNew(); err == nil {
			t.Errorf("%s was found whole", name)
		}
	}
}
