package evidence

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// found is what the view would say of a ledger: it is found by reading all of
// it.
func (l *laptop) found() Found {
	l.t.Helper()
	f := Found{Folded: l.school.Ledger.Size()}
	days := map[int64]int{}
	for r, err := range l.school.Ledger.Entries(l.t.Context(), 0, ledger.Index(f.Folded)) {
		if err != nil {
			l.t.Fatal(err)
		}
		switch day := dayOf(moment(r.Envelope.ReceivedAt)); {
		case r.Envelope.Kind == proof.KindDecision && r.Envelope.Sections[0].Name == roster.SectionRevocation:
			f.Revoked = uint64(r.Index)
		case r.Envelope.Kind != proof.KindContacts:
		case days[day] > 0:
			f.Heard[days[day]-1] = Place{Entry: uint64(r.Index)}
		default:
			f.Heard = append(f.Heard, Place{Entry: uint64(r.Index)})
			days[day] = len(f.Heard)
		}
	}
	return f
}

// ask gathers evidence, seals it and has it verified.
func (l *laptop) ask(q Question) *Bundle {
	l.t.Helper()
	if err := l.school.Roster.CatchUp(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	b, err := Collect(l.t.Context(), l.school, q)
	if err != nil {
		l.t.Fatal(err)
	}
	verified, _, err := Verify(must(b.Seal(l.sealing)), Trust{Key: &l.school.Key})
	if err != nil {
		l.t.Fatal(err)
	}
	return verified
}

// TestTheViewMakesNoDifference draws what a laptop does over weeks: evidence is
// the same whether all, some or none of what the view knows is known, whatever
// moment is asked about. And its silences are the times between the signs of it
// that the ledger keeps.
func TestTheViewMakesNoDifference(t *testing.T) {
	thorough := os.Getenv("CARETAKER_THOROUGH") == "1"
	rapid.Check(t, func(rt *rapid.T) {
		if !thorough && !rapid.SampledFrom([]bool{false, false, false, false, true}).Draw(rt, "sampled") {
			return // it takes long
		}
		l := newLaptop(t)
		now := monday
		var partly Found
		for range rapid.IntRange(1, 20).Draw(rt, "entries") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 2, 7, 20, 30, 400}).Draw(rt, "hours")) * time.Hour)
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				l.reports(plain(), now, now)
			case 1:
				l.reports(encrypted(), now.Add(-time.Hour), now)
			case 2:
				partly = l.found()
			default:
				l.contact(now.Add(-time.Minute), now)
			}
		}
		at := monday.Add(time.Duration(rapid.IntRange(1, int(now.Sub(monday)/time.Minute)+3000).Draw(rt, "at")) * time.Minute)
		q := Question{Device: "d1", At: at, By: "Priya Anand", Now: later(at, now).Add(day)}
		none := l.ask(q)
		for name, known := range map[string]Found{"all": l.found(), "some": partly} {
			q.Found = known
			if diff := cmp.Diff(none, l.ask(q)); diff != "" {
				rt.Fatalf("with %s known (-none +known):\n%s", name, diff)
			}
		}
		moments, contacts := []time.Time{monday}, map[int64]time.Time{}
		for _, e := range none.Entries {
			env := must(proof.DecodeEnvelope(e.Envelope))
			switch received := moment(env.ReceivedAt); env.Kind {
			case proof.KindReport:
				made := must(proof.DecodeReportStatement(env.Statement)).MadeAt
				moments = append(moments, later(monday, moment(made)))
			case proof.KindContacts:
				if _, twice := contacts[dayOf(received)]; twice {
					rt.Fatalf("two contacts of one day")
				}
				contacts[dayOf(received)] = received
				moments = append(moments, received.Add(-time.Minute))
			}
		}
		slices.SortFunc(moments, time.Time.Compare)
		var want []Silence
		for i, to := range append(moments[1:], at) {
			if to.Sub(moments[i]) > usualSilence {
				want = append(want, Silence{From: moments[i], To: to, Lasts: i == len(moments)-1})
			}
		}
		if diff := cmp.Diff(want, none.Sheet.Silences); diff != "" {
			rt.Fatalf("silences (-want +got):\n%s", diff)
		}
	})
}

// TestEvidenceIsFrozen makes evidence for one moment twice, and lets all that
// can happen happen in between: only when it was made and what proves it
// differ.
func TestEvidenceIsFrozen(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	l.contact(monday.Add(26*time.Hour), monday.Add(26*time.Hour))
	lost := monday.Add(27 * time.Hour)
	ask := func(now time.Time) *Bundle {
		return l.ask(Question{Device: "d1", At: lost, Aware: lost.Add(time.Hour), Zone: "Europe/London", By: "Priya Anand", Now: now, Found: l.found()})
	}
	first := ask(lost.Add(2 * time.Hour))
	l.contact(lost.Add(3*time.Hour), lost.Add(3*time.Hour)) // on the same day
	l.reports(plain(), lost.Add(day), lost.Add(day))
	l.contact(lost.Add(2*day), lost.Add(2*day))
	l.revoke("sold", lost.Add(3*day))
	second := ask(lost.Add(30 * day))
	if first.MadeAt.Equal(second.MadeAt) || first.Checkpoint == second.Checkpoint {
		t.Error("they were made at one time of one ledger")
	}
	for _, b := range []*Bundle{first, second} {
		b.MadeAt, b.Checkpoint = time.Time{}, ""
		for i := range b.Entries {
			b.Entries[i].Path = nil
		}
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("what was proven of the moment changed (-first +second):\n%s", diff)
	}
}

func (l *laptop) revoke(reason string, at time.Time) {
	l.t.Helper()
	l.append(must(l.maker.Revocation(roster.Revocation{Device: "d1", Reason: reason}, at)))
}

// printed is what people read.
func printed(t *testing.T, b *Bundle) string {
	t.Helper()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Print(&out, b, london, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func wants(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the sheet does not say %q:\n%s", w, text)
		}
	}
	if strings.Contains(text, "\n\n\n") {
		t.Errorf("two empty lines follow each other:\n%s", text)
	}
}

// TestWhatTheSecondFormatSays: silences, revocation, policy, recovery key and
// the deadline across a clock change.
func TestWhatTheSecondFormatSays(t *testing.T) {
	l := newLaptop(t)
	body := must(json.Marshal(map[string]any{"number": 3, "title": "What Hollybank agreed"}))
	l.append(must(l.maker.Policy(must(l.sealing.SignDocument(roster.DocumentPolicy, body)), []byte("title: x"), monday)))
	published := l.school.Ledger.Size() - 1
	held := must(register.Encode(register.Change{What: register.Recovery, Tag: "HB-LT-014", Escrow: register.KeyHeld}))
	l.append(l.maker.Entry(proof.KindDecision, "", monday, proof.Section{Name: register.Section, Class: proof.Kept, Body: held}))
	recorded := l.school.Ledger.Size() - 1
	l.reports(encrypted(), monday, monday, func(s *proof.ReportStatement) { s.Policy = 3 })
	l.contact(monday.Add(20*day), monday.Add(20*day))
	l.contact(monday.Add(21*day), monday.Add(21*day))
	l.revoke("left on a train", monday.Add(46*day))

	aware := time.Date(2026, 10, 23, 16, 10, 0, 0, time.UTC) // 17:10 in London
	q := Question{Device: "d1", At: aware.Add(-50 * time.Minute), Aware: aware, Zone: "Europe/London", By: "Priya Anand", Now: aware.Add(time.Hour), Found: l.found()}
	q.Asset, q.Recovery = "hb-lt-014", []uint64{recorded}
	q.Policies = []Policy{{Number: 0, Silence: 14 * day}, {Number: 3, Entry: published, Silence: 10 * day}}
	b := l.ask(q)
	s := b.Sheet
	if len(s.Silences) != 2 || !s.Silences[0].To.Equal(monday.Add(20*day)) || s.Silences[0].Lasts || !s.Silences[1].Lasts {
		t.Errorf("silences: %+v", s.Silences)
	}
	if s.Revoked == nil || s.Revoked.Reason != "left on a train" || s.Policy == nil || s.Policy.Number != 3 || s.Recovery == nil || !s.Recovery.Held || s.Contacts != 2 {
		t.Errorf("revoked %+v, policy %+v, recovery %+v, %d contacts", s.Revoked, s.Policy, s.Recovery, s.Contacts)
	}
	if want := time.Date(2026, 10, 26, 16, 10, 0, 0, time.UTC); !b.TellBy.Equal(want) {
		t.Errorf("the regulator must be told by %v, want %v", b.TellBy, want)
	}
	wants(t, printed(t, b),
		"the regulator must be told by Mon 26 Oct 2026 16:10 GMT: 72 hours after Fri 23 Oct 2026 17:10 BST",
		"Not heard from between Mon 7 Sep 2026 09:00 BST and Sun 27 Sep 2026 09:00 BST: 20 days",
		"REVOKED Fri 23 Oct 2026 09:00 BST (left on a train)", "holds its recovery key (as HB-LT-014, entry 3)",
		"judged by policy 3 (What Hollybank agreed, published", "2 contacts are here", "receipt: entry 4", "longer than the 10 days",
		"what it was like while it was not heard from", "at what hour a silence ended")

	// A moment before all that knows nothing of it.
	q.At = monday.Add(time.Hour)
	if s := l.ask(q).Sheet; s.Revoked != nil || len(s.Silences) != 0 || s.Contacts != 0 {
		t.Errorf("an hour after it enrolled: %+v", s)
	}
	q.Recovery, q.Asset = nil, ""
	if s := l.ask(q).Sheet; s.Recovery != nil || !says(s, "holds its recovery key: nothing") {
		t.Errorf("without a word of it: %+v, %q", s.Recovery, s.NotKnown)
	}
}

// TestASheetOfNothing has no more empty lines than it needs.
func TestASheetOfNothing(t *testing.T) {
	l := newLaptop(t)
	b := l.ask(Question{Device: "d1", At: monday.Add(30 * day), By: "Priya Anand", Now: monday.Add(31 * day)})
	wants(t, printed(t, b), "NOT PROVEN: there is no report", "Not heard from between", "and silent still", "Hollybank Primary School", "with token t1 of Morgan Ellis")
}

// TestWhatTheViewSaysWronglyIsRefused: evidence rests on the ledger.
func TestWhatTheViewSaysWronglyIsRefused(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	if err := l.school.Roster.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := Collect(t.Context(), l.school, Question{Device: "d1", At: monday.Add(day), Now: monday.Add(day), Found: Found{Heard: []Place{{Entry: 2}}}})
	if err == nil || !strings.Contains(err.Error(), "view rebuild") {
		t.Errorf("a report in the place of a contact: %v", err)
	}
}

// TestWhoeverHoldsTheKeyCannotPutMoreIn seals bundles anew that hold what does
// not belong there.
func TestWhoeverHoldsTheKeyCannotPutMoreIn(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	l.contact(monday.Add(day), monday.Add(day))
	l.revoke("lost", monday.Add(2*day))
	for name, spoil := range map[string]func(*Bundle){
		"a contact of later":      func(b *Bundle) { b.At = monday.Add(time.Hour) },
		"another deadline":        func(b *Bundle) { b.Aware = monday; b.TellBy = monday.Add(73 * time.Hour) },
		"a deadline of nothing":   func(b *Bundle) { b.TellBy = monday },
		"a silence below nothing": func(b *Bundle) { b.Silence = -1 },
		"a device and a school":   func(b *Bundle) { b.Position = &Position{} },
		"the format before":       func(b *Bundle) { b.Format = 1 },
		"no silence":              func(b *Bundle) { b.Sheet.Silences = nil },
		"no revocation":           func(b *Bundle) { b.Sheet.Revoked = nil },
		"another contact's time":  func(b *Bundle) { b.Sheet.Heard.ReceivedAt = monday },
	} {
		b, _ := l.sealed(monday.Add(40 * day))
		spoil(b)
		if _, _, err := Verify(must(b.Seal(l.sealing)), Trust{Key: &l.school.Key}); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
}

// TestPosition: the numbers are the school's word, and what they rest on is
// proven.
func TestPosition(t *testing.T) {
	l := newLaptop(t)
	l.reports(encrypted(), monday, monday)
	body := must(json.Marshal(map[string]any{"number": 1, "title": "What Hollybank agreed"}))
	l.append(must(l.maker.Policy(must(l.sealing.SignDocument(roster.DocumentPolicy, body)), []byte("title: x"), monday.Add(day))))
	l.contact(monday.Add(2*day), monday.Add(2*day))
	l.reports(plain(), monday.Add(9*day), monday.Add(9*day))
	q := PositionQuestion{At: monday.Add(5 * day), Zone: "Europe/London", By: "Priya Anand", Now: monday.Add(10 * day)}
	where := func() Position {
		return Position{
			Before: must(Before(t.Context(), l.school.Ledger, q.At)), Devices: 1, Judged: &Judged{Before: 1},
			Rules:      []RulePosition{{Rule: "ENC-01", Title: "The system disk is encrypted", Severity: "critical", Met: 1}},
			Exemptions: []Exempted{{ID: "x1", Rule: "AV-01", Of: "hb-lt-014", Until: monday.Add(40 * day), AskedBy: "Morgan Ellis", Approver: "Sam Okafor"}},
		}
	}
	b, err := CollectPosition(t.Context(), l.school, q, where(), Policy{Number: 1, Entry: 3})
	if err != nil {
		t.Fatal(err)
	}
	if b.Position.Before != 5 || b.Position.Policy == nil || b.Position.Policy.Number != 1 || len(b.Entries) != 3 {
		t.Errorf("from %d entries, policy %+v, proven by %d", b.Position.Before, b.Position.Policy, len(b.Entries))
	}
	sealed := must(b.Seal(l.sealing))
	verified, v, err := Verify(sealed, Trust{Key: &l.school.Key})
	if err != nil || !v.Origin {
		t.Fatalf("it does not verify: %+v, %v", v, err)
	}
	wants(t, printed(t, verified), "Where it stood at Sat 12 Sep 2026 09:00 BST", "What Hollybank agreed", "ENC-01", "no register of the school's devices was kept",
		"Judged by it", "0 of 1 devices; 1 still by a policy before it, 0 had reported nothing yet", "AV-01  hb-lt-014  until", "approved by Sam Okafor", "whether there are backups", "the first 5 entries")
	for i := 0; i < len(sealed); i += 13 {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := Verify(changed, Trust{}); err == nil {
			t.Errorf("byte %d was changed, and it verifies", i)
		}
	}
	for name, spoil := range map[string]func(*Bundle){
		"a device more":          func(b *Bundle) { b.Position.Devices++ },
		"a negative number":      func(b *Bundle) { b.Position.Rules[0].Met, b.Position.Rules[0].NotMet = 2, -1 },
		"judged twice":           func(b *Bundle) { b.Position.Judged.Now++ },
		"judged less than never": func(b *Bundle) { b.Position.Judged = &Judged{Now: 2, Never: -1} },
		"entries of later":       func(b *Bundle) { b.Position.Before++ },
		"another moment":         func(b *Bundle) { b.At = monday.Add(9 * day) },
		"another policy":         func(b *Bundle) { b.Position.Policy.Number = 2 },
		"no policy":              func(b *Bundle) { b.Position.Policy = nil },
		"a bound less":           func(b *Bundle) { b.Entries = b.Entries[:2] },
		"nothing that it is not": func(b *Bundle) { b.Position.CannotSay = nil },
		"a register miscounted":  func(b *Bundle) { b.Position.Register = Register{Kept: true, Registered: 3, Agent: 1} },
	} {
		b, err := CollectPosition(t.Context(), l.school, q, where(), Policy{Number: 1, Entry: 3})
		if err != nil {
			t.Fatal(err)
		}
		spoil(b)
		if _, _, err := Verify(must(b.Seal(l.sealing)), Trust{}); err == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
	if _, err := Before(t.Context(), l.school.Ledger, monday.Add(-day)); err == nil {
		t.Error("a school stood somewhere before its record began")
	}
	if _, err := CollectPosition(t.Context(), l.school, PositionQuestion{At: monday.Add(11 * day), Now: monday.Add(10 * day)}, where(), Policy{}); err == nil {
		t.Error("a moment that has not come")
	}
}
