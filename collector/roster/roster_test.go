package roster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

const school = "hollybank"

// book is a ledger with what is needed to write into it.
type book struct {
	t         testing.TB
	dir       string
	key       *identity.SchoolKey
	authority *identity.Authority
	verifier  identity.SchoolVerifier
	ledger    *ledger.Ledger
	maker     roster.Maker
	public    *identity.DeviceKey
}

func newBook(t testing.TB) *book {
	t.Helper()
	b := &book{t: t, dir: t.TempDir(), maker: roster.Maker{School: school, Intake: "collector"}}
	var err error
	if b.key, err = identity.NewSchoolKey(filepath.Join(b.dir, "school.pem"), school); err != nil {
		t.Fatal(err)
	}
	if b.authority, err = identity.NewAuthority(b.dir, school, monday); err != nil {
		t.Fatal(err)
	}
	if b.verifier, err = b.key.Verifier(); err != nil {
		t.Fatal(err)
	}
	if b.public, err = identity.MakeDeviceKey(filepath.Join(b.dir, "device.pem")); err != nil {
		t.Fatal(err)
	}
	if b.ledger, err = ledger.Open(filepath.Join(b.dir, "ledger"), ledger.Options{School: school}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.ledger.Close() })
	return b
}

func (b *book) open(snapshot string) *roster.Roster {
	b.t.Helper()
	r, err := roster.Open(context.Background(), roster.Options{School: school, Ledger: b.ledger, Verifier: b.verifier, Snapshot: snapshot})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *book) append(entries ...ledger.Entry) {
	b.t.Helper()
	if _, err := b.ledger.Append(context.Background(), entries...); err != nil {
		b.t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (b *book) enrolment(id posture.DeviceID, token string) ledger.Entry {
	der := must(b.authority.Issue(id, b.public.Public(), monday))
	return b.maker.Entry(proof.KindEnrolment, string(id), monday, must(roster.Section(roster.SectionEnrolment, proof.Kept, roster.Enrolment{
		Device: id, Certificate: der, Token: token, Ownership: posture.SchoolMultiUser, Platform: posture.Linux,
	})))
}

func (b *book) assignment(id posture.DeviceID, number uint64, class posture.Ownership) ledger.Entry {
	entry, _, err := b.maker.Assignment(b.key, roster.Assignment{Device: id, Assignment: policy.Assignment{Number: number, Ownership: class}}, monday)
	return must(entry, err)
}

func (b *book) policy(number uint64) ledger.Entry {
	document := must(b.key.SignDocument(roster.DocumentPolicy, fmt.Appendf(nil, `{"number":%d}`, number)))
	return must(b.maker.Policy(document, []byte("source"), monday))
}

func (b *book) report(id string, sequence uint64, previous proof.Digest) (ledger.Entry, proof.Digest) {
	section := proof.Section{Name: "system", Class: proof.Posture, Body: []byte("body")}
	s := proof.ReportStatement{School: school, Device: id, Sequence: sequence, Previous: previous, Sections: []proof.SectionRef{section.Ref(1, sequence)}}
	encoded := must(s.Encode())
	hash := proof.HashReport(encoded)
	return ledger.Entry{Envelope: proof.Envelope{
		Kind: proof.KindReport, School: school, Subject: id, Sequence: sequence, ReceivedAt: uint64(monday.UnixMilli()), Statement: encoded,
		Signature: must(b.public.Sign(hash)), Sections: s.Sections,
	}, Sections: []proof.Section{section}}, hash
}

func TestRosterIsFoldedFromTheLedger(t *testing.T) {
	b := newBook(t)
	r := b.open("")
	changed := r.Changed()
	token := roster.Token{ID: "t1", Uses: 2, Ends: monday, Ownership: posture.SchoolMultiUser}
	b.append(b.maker.Entry(proof.KindToken, "token:t1", monday, must(roster.Section(roster.SectionToken, proof.Kept, token))),
		b.enrolment("d1", "t1"), b.assignment("d1", 3, posture.SchoolSingleUser), b.assignment("d1", 2, posture.Authorised), b.policy(4), b.policy(3))
	first, hash := b.report("d1", 1, proof.Digest{})
	second, hash2 := b.report("d1", 2, hash)
	b.append(first, second)
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changed
	d, ok := r.Device("d1")
	if !ok || d.Last != 2 || d.Hash != hash2 || d.Assignment != 3 || d.Ownership != posture.SchoolSingleUser || d.Revoked || !d.Key.Equal(b.public.Public()) {
		t.Errorf("device: got %+v", d)
	}
	if got, used, ok := r.Token("t1"); !ok || used != 1 || !cmp.Equal(got, token) {
		t.Errorf("token: got %+v, used %d", got, used)
	}
	if r.Policy() != 4 {
		t.Errorf("policy: got %d, want 4: numbers only rise", r.Policy())
	}
	document, err := r.PolicyDocument(t.Context())
	if err != nil || !bytes.Contains(document, []byte(`{"number":4}`)) {
		t.Errorf("policy document: got %q, %v", document, err)
	}
	assigned, err := r.AssignmentDocument(t.Context(), "d1")
	if a, openErr := roster.OpenAssignment(b.verifier, assigned); err != nil || openErr != nil || a.Number != 3 {
		t.Errorf("assignment: got %+v, %v, %v", a, err, openErr)
	}
	refs, err := r.Sections(t.Context(), d)
	if err != nil || len(refs) != 1 || refs[0].Carried != 2 {
		t.Errorf("sections: got %v, %v", refs, err)
	}
	b.append(must(b.maker.Revocation(roster.Revocation{Device: "d1"}, monday)))
	if err := r.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, _ := r.Device("d1"); !d.Revoked {
		t.Error("a revoked device is not known to be")
	}
	if none, ok := r.Device("d2"); ok {
		t.Errorf("an unknown device: got %+v", none)
	}
}

func TestChangesNameThoseWhomTheyConcern(t *testing.T) {
	b := newBook(t)
	b.append(b.enrolment("d1", "t"), b.assignment("d1", 1, posture.SchoolMultiUser), b.policy(1))
	r := b.open("")
	for _, step := range []struct {
		entry ledger.Entry
		want  roster.Changes
	}{
		{b.enrolment("d2", "t"), roster.Changes{}},
		{b.assignment("d2", 1, posture.Authorised), roster.Changes{Devices: []posture.DeviceID{"d2"}}},
		{b.assignment("d1", 1, posture.Authorised), roster.Changes{}},
		{must(b.maker.Revocation(roster.Revocation{Device: "d1"}, monday)), roster.Changes{Devices: []posture.DeviceID{"d1"}}},
		{b.policy(2), roster.Changes{Everybody: true}},
	} {
		b.append(step.entry)
		if err := r.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, r.Changes()); diff != "" {
			t.Errorf("after a %s about %q (-want +got):\n%s", step.entry.Envelope.Kind, step.entry.Envelope.Subject, diff)
		}
	}
}

func TestHolderIsFoundByTheKey(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	r := b.open(snapshot)
	stranger := must(identity.MakeDeviceKey(filepath.Join(b.dir, "stranger.pem"))).Public()
	if _, ok := r.Holder(b.public.Public()); ok {
		t.Error("a key that nobody enrolled has a holder")
	}
	b.append(b.enrolment("d1", "t"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(r.CatchUp(t.Context()), r.Run(ctx)); err != nil { // it saves when it ends
		t.Fatal(err)
	}
	for name, r := range map[string]*roster.Roster{"folded": r, "from a snapshot": b.open(snapshot)} {
		if d, ok := r.Holder(b.public.Public()); !ok || d.ID != "d1" {
			t.Errorf("%s: got %+v, %t", name, d, ok)
		}
		if d, ok := r.Holder(stranger); ok {
			t.Errorf("%s: a stranger's key has the holder %s", name, d.ID)
		}
	}
}

// What the school did not sign, or what is not what it says, changes nothing.
func TestForeignDocumentsChangeNothing(t *testing.T) {
	b, other := newBook(t), newBook(t)
	crossed := b.assignment("d2", 5, posture.Authorised)
	crossed.Envelope.Subject = "d1"
	forgotten := b.enrolment("d3", "t")
	forgotten.Sections[0].Class, forgotten.Envelope.Sections[0] = proof.People, proof.Section{Name: roster.SectionEnrolment, Class: proof.People, Salt: forgotten.Sections[0].Salt, Body: forgotten.Sections[0].Body}.Ref(0, 0)
	garbage := b.maker.Entry(proof.KindEnrolment, "d4", monday, must(roster.RawSection(roster.SectionEnrolment, proof.Kept, []byte("{"))))
	b.append(b.enrolment("d1", "t"), b.enrolment("d1", "t"), other.assignment("d1", 9, posture.Authorised), other.policy(9), crossed, forgotten, garbage)
	r := b.open("")
	if d, _ := r.Device("d1"); d.Assignment != 0 || d.Enrolment != 0 || r.Policy() != 0 {
		t.Errorf("got %+v and policy %d", d, r.Policy())
	}
	for _, id := range []posture.DeviceID{"d3", "d4"} {
		if _, ok := r.Device(id); ok {
			t.Errorf("%s was admitted", id)
		}
	}
}

func TestSnapshotSavesReadingAndNothingElse(t *testing.T) {
	b := newBook(t)
	snapshot := filepath.Join(b.dir, "snapshot")
	run := func(r *roster.Roster) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil { // it saves when it ends
			t.Fatal(err)
		}
	}
	b.append(b.enrolment("d1", "t"), b.assignment("d1", 1, posture.SchoolMultiUser), b.policy(2))
	run(b.open(snapshot))
	report, _ := b.report("d1", 1, proof.Digest{})
	b.append(report, b.enrolment("d2", "t"))
	compare := func(name string) {
		t.Helper()
		if diff := cmp.Diff(state(b.open("")), state(b.open(snapshot))); diff != "" {
			t.Errorf("%s: folded (-) and from a snapshot (+) differ:\n%s", name, diff)
		}
	}
	compare("a snapshot")
	data, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += 97 {
		changed := slices.Clone(data)
		changed[at] ^= 0x20
		if err := os.WriteFile(snapshot, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		compare(fmt.Sprintf("byte %d changed", at))
	}
	if err := os.WriteFile(snapshot, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	compare("half a snapshot")

	// A snapshot of another ledger, such as after a copy was restored.
	other := newBook(t)
	other.append(other.enrolment("d9", "t"), other.policy(7), other.policy(8))
	run(other.open(snapshot))
	compare("another ledger's snapshot")
}

// state is what a roster says, for comparing.
func state(r *roster.Roster) any {
	type device struct {
		ID               posture.DeviceID
		Last, Assignment uint64
		Entry, Enrolment ledger.Index
		Hash             proof.Digest
		Ownership        posture.Ownership
		Revoked          bool
		Contact          roster.Contact
		Standing         roster.Standing
		Approved         time.Time
	}
	var all []device
	for d := range r.Devices() {
		standing, _ := r.Standing(d.ID)
		all = append(all, device{
			d.ID, d.Last, d.Assignment, d.Entry, d.Enrolment, d.Hash, d.Ownership, d.Revoked, d.Contact, standing, r.RenewalApproved(d.ID),
		})
	}
	_, used, _ := r.Token("t")
	return []any{all, r.Policy(), used, r.RenewalWindow()}
}

func TestFollowingEqualsFoldingAnew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook(t)
		live := b.open("")
		last, hash := map[string]uint64{}, map[string]proof.Digest{}
		for range rapid.IntRange(1, 12).Draw(rt, "entries") {
			id := rapid.SampledFrom([]string{"d1", "d2"}).Draw(rt, "device")
			switch rapid.IntRange(0, 8).Draw(rt, "kind") {
			case 6:
				b.append(b.admits(rapid.SampledFrom([]admission.Change{
					{What: admission.SetWindow, Days: 7}, {What: admission.ApproveRenewal, Device: "d1"}, {What: admission.OtherHardware, Device: "d2", Earlier: "d1"},
				}).Draw(rt, "change"), monday))
			case 7:
				b.append(b.incident(rapid.SampledFrom([]incident.What{incident.Open, incident.Add, incident.Found}).Draw(rt, "incident"),
					rapid.SampledFrom([]string{"in-1", "in-2"}).Draw(rt, "of"), posture.DeviceID(id)))
			case 0:
				b.append(b.enrolment(posture.DeviceID(id), "t"))
			case 1:
				b.append(b.assignment(posture.DeviceID(id), rapid.Uint64Range(1, 5).Draw(rt, "number"), posture.SchoolMultiUser))
			case 2:
				b.append(b.policy(rapid.Uint64Range(1, 5).Draw(rt, "policy")))
			case 3:
				b.append(must(b.maker.Revocation(roster.Revocation{Device: posture.DeviceID(id)}, monday)))
			case 4:
				c := must(proof.ContactStatement{School: school, Device: id, Report: 1, Hash: proof.Digest{1}, Count: rapid.Uint64Range(1, 9).Draw(rt, "count")}.Encode())
				body := must(proof.SignedContact{Statement: c, Signature: []byte("s")}.Encode())
				b.append(b.maker.Entry(proof.KindContacts, "", monday, must(roster.RawSection(roster.SectionContact, proof.Contacts, body))))
			default:
				entry, h := b.report(id, last[id]+1, hash[id])
				last[id], hash[id] = last[id]+1, h
				b.append(entry)
			}
			if rapid.Bool().Draw(rt, "follow") {
				if err := live.CatchUp(t.Context()); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := live.CatchUp(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(state(live), state(b.open(""))); diff != "" {
			rt.Errorf("followed (-) and folded anew (+) differ:\n%s", diff)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"id":"t1","hash":"","uses":1}`))
	f.Add([]byte(`{"device":"d1","certificate":"AAAA","token":"t"}`))
	f.Add([]byte(`{"from":1,"to":2,"reason":"dropped"}`))
	verifier := newBook(f).verifier
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = roster.DecodeToken(body)
		_, _ = roster.DecodeEnrolment(body)
		_, _ = roster.DecodeRevocation(body)
		_, _ = roster.DecodeGap(body)
		_, _ = roster.OpenAssignment(verifier, body)
		_, _ = roster.OpenPolicy(verifier, body)
	})
}
