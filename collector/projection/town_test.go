package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// town is a few schools that share a collector: a ledger on disk for each, one
// view, and beside them what the model knows.
type town struct {
	tb      testing.TB
	t       *rapid.T
	now     time.Time
	schools []*district
	view    *view.View
	*Projection
	q *view.Queries
}

// district is a school of a town. What is said to its shelf goes to its ledger.
type district struct {
	*school
	dir      string
	disk     *swapped
	taken    int // of the shelf
	devices  []*carrier
	model    chronicle
	vague    bool // so much was forgotten that the model knows no more than what fails
	closed   bool // it has a calendar, with days on which silence does not count
	permits  int
	policies []string // the rule that each of the school's policies lacks, by number
}

// swapped is a ledger that is closed and opened again behind who follows it.
type swapped struct{ *ledger.Ledger }

// carrier is a laptop with what it has not sent yet.
type carrier struct {
	*laptop
	out     *shelf
	waiting []parcel
	sent    []parcel // reports
	lacks   string   // the rule that the policy which it took lacks
	wrong   bool     // its clock was wrong at some time
}

type parcel struct {
	envelope proof.Envelope
	sections []proof.Section
	told     act
}

func newTown(tb testing.TB, t *rapid.T) *town {
	w := &town{tb: tb, t: t, now: term}
	var list []School
	for _, id := range []string{"hollybank", "hollybank-2", "ashfield"}[:rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "schools")] {
		dir, err := os.MkdirTemp(inMemory(), "town")
		if err != nil {
			tb.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		d := &district{school: newSchool(tb, id), dir: dir, disk: &swapped{}, policies: []string{""}}
		w.openLedger(d)
		t.Cleanup(func() { d.disk.Close() })
		w.schools = append(w.schools, d)
		list = append(list, School{ID: d.id, Name: string(d.id), Ledger: d.disk, Verifier: identity.SchoolVerifier{School: d.id, Key: d.config().Verifier.Key}})
	}
	v, err := view.Open("", view.Options{Memory: true, Facts: NewFacts(list)})
	if err != nil {
		tb.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	w.view, w.q = v, v.Queries()
	w.start(list)
	return w
}

// inMemory is a folder that is not on a disk, if there is one: what a disk does to
// a ledger is asked elsewhere.
func inMemory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

func (w *town) openLedger(d *district) {
	disk, err := ledger.Open(d.dir, ledger.Options{School: string(d.id)})
	if err != nil {
		w.tb.Fatal(err)
	}
	d.disk.Ledger = disk
}

func (w *town) start(list []School) {
	l, err := shipped()
	if err != nil {
		w.tb.Fatal(err)
	}
	if w.Projection, err = New(Options{View: w.view, Schools: list, Baseline: l.Policy(), Workers: 1}); err != nil {
		w.tb.Fatal(err)
	}
}

// restart ends what follows wherever it is, closes the ledgers and opens all again.
func (w *town) restart() {
	var list []School
	for i, d := range w.schools {
		if err := d.disk.Close(); err != nil {
			w.tb.Fatal(err)
		}
		w.openLedger(d)
		list = append(list, w.folders[i].school)
	}
	w.start(list)
}

// record brings what was said to the shelf into the ledger.
func (w *town) record(d *district) {
	for ; d.taken < len(d.ledger.records); d.taken++ {
		w.append(d, d.ledger.records[d.taken].Envelope, d.ledger.salted[d.taken])
	}
}

func (w *town) append(d *district, e proof.Envelope, sections []proof.Section) {
	if e.Kind == proof.KindReport {
		e.Signature = []byte{1}
		st, err := proof.DecodeReportStatement(e.Statement)
		if err != nil {
			w.tb.Fatal(err)
		}
		e.Sections = slices.DeleteFunc(st.Sections, func(ref proof.SectionRef) bool { return ref.Carried != st.Sequence })
	}
	if _, err := d.disk.Append(context.Background(), ledger.Entry{Envelope: e, Sections: sections}); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *town) enrol(d *district) {
	id := fmt.Sprintf("hb-lt-%03d", len(d.devices)) // the same names in every school
	c := &carrier{out: newShelf()}
	c.laptop = d.enrol(w.tb, id, w.now)
	c.school = &school{id: d.id, ledger: c.out, key: d.key, policy: d.policy}
	c.lacks = d.policies[d.number]
	w.record(d)
	d.devices = append(d.devices, c)
	d.model = append(d.model, act{what: "enrol", device: id, received: w.now, class: proof.Kept})
	w.report(c)
	w.deliver(d, c)
}

// report has a laptop write a report of what is so into its spool.
func (w *town) report(c *carrier) {
	c.report(w.tb, w.now, w.now)
	saw := map[string]saying{"ENC-01": untold, "CFG-01": holds}
	if len(c.facts.Volumes.Items) > 0 {
		saw["ENC-01"] = encrypted(c.facts.Volumes.Items[0].Encryption)
	}
	if !c.facts.Security.Items[0].Firewall.Value {
		saw["CFG-01"] = fails
	}
	if len(c.facts.Media.Items) > 0 {
		saw["USB-01"] = encrypted(c.facts.Media.Items[0].Encryption)
	}
	c.wait(act{what: "report", device: string(c.id), at: w.now, saw: saw, judged: rulesBut(c.lacks), class: proof.Kept})
}

func encrypted(state posture.Reading[posture.EncryptionState]) saying {
	switch {
	case !state.Known():
		return untold
	case state.Value == posture.Encrypted:
		return holds
	}
	return fails
}

// rulesBut are the rules of a policy that lacks one of them, or none.
func rulesBut(lacks string) map[string]bool {
	rules := map[string]bool{"ENC-01": true, "CFG-01": true, "USB-01": true, "LIF-01": true}
	delete(rules, lacks)
	return rules
}

func (w *town) contact(c *carrier) {
	c.contact(w.tb, w.now, w.now)
	c.wait(act{what: "contact", device: string(c.id), at: w.now, class: proof.Contacts})
}

// wait moves what a laptop has just written to what it has to send.
func (c *carrier) wait(told act) {
	n := len(c.out.records) - 1
	c.waiting = append(c.waiting, parcel{c.out.records[n].Envelope, c.out.salted[n], told})
}

// deliver brings all that a laptop has to send, in its order.
func (w *town) deliver(d *district, c *carrier) {
	for _, p := range c.waiting {
		p.envelope.ReceivedAt, p.told.received = uint64(w.now.UnixMilli()), w.now
		w.append(d, p.envelope, p.sections)
		d.model = append(d.model, p.told)
		if p.told.what == "report" {
			c.sent = append(c.sent, p)
		}
	}
	c.waiting = nil
}

// lose has a laptop lose what it has not sent. It begins again with everything.
func (w *town) lose(c *carrier) {
	c.waiting = nil
	clear(c.carried)
	clear(c.bodies)
	w.report(c)
}

func (w *town) publish(d *district, lacks string) {
	l, err := shipped()
	if err != nil {
		w.tb.Fatal(err)
	}
	d.policy = l
	d.publish(w.tb, w.now, dropRule(lacks))
	d.policies = append(d.policies, lacks)
	d.model = append(d.model, act{what: "publish", received: w.now, judged: rulesBut(lacks), class: proof.Kept})
	w.record(d)
}

// decides records a decision and tells the model.
func (w *town) decides(d *district, made decision.Decision, told act) {
	d.decide(w.tb, made)
	w.record(d)
	told.at, told.received, told.class = w.now, w.now, proof.People
	if told.what != "" {
		d.model = append(d.model, told)
	}
}

// standing are the rules of which a laptop has a breach that stands, or all if it
// has none.
func (w *town) standing(d *district, c *carrier) (rules []string) {
	told, _ := d.model.tell()
	for _, rule := range modelRules {
		if s := told[string(c.id)].last(modelMatters[rule]); s != nil && s.stands() {
			rules = append(rules, rule)
		}
	}
	if len(rules) == 0 {
		return modelRules
	}
	return rules
}

// decideBreach decides about a breach that stands, or about one that does not.
func (w *town) decideBreach(d *district, c *carrier) {
	rule := rapid.SampledFrom(w.standing(d, c)).Draw(w.t, "rule")
	on := modelMatters[rule]
	key := keyOf(string(c.id), rule, map[string]string{"ENC-01": "volume", "USB-01": "medium"}[rule], on.subject)
	if key.Kind == "" {
		key.Kind = "device"
	}
	kind, what := decision.Acknowledge, "acknowledge"
	if rule != "LIF-01" && rapid.Bool().Draw(w.t, "settled") { // the door refuses to settle a silence
		kind, what = decision.Resolve, "settle"
	}
	w.decides(d, decision.Decision{Kind: kind, By: "technician", At: w.now, Reason: "on order", Breach: key}, act{what: what, device: string(c.id), on: on})
}

// permit has somebody ask for an exemption and somebody answer, not always as they
// should.
func (w *town) permit(d *district, c *carrier) {
	d.permits++
	id := fmt.Sprintf("ex-%d", d.permits)
	rule := rapid.SampledFrom(w.standing(d, c)).Draw(w.t, "rule")
	kind := map[string]string{"ENC-01": "volume", "USB-01": "medium", "CFG-01": "device", "LIF-01": "device"}[rule]
	scope, told := breach.Scope{Rule: rule, Of: breach.WholeSchool}, modelScope{rule: rule}
	switch rapid.IntRange(0, 3).Draw(w.t, "of") {
	case 1:
		scope.Of, scope.Device, told.device = breach.OneDevice, c.id, string(c.id)
	case 2:
		scope.Of, scope.Group, told.group = breach.OneGroup, "Year 6", "Year 6"
	case 3:
		scope = scopeOf(keyOf(string(c.id), rule, kind, modelMatters[rule].subject))
		told.device, told.subject, told.one = string(c.id), modelMatters[rule].subject, true
	}
	until := w.now.Add(time.Duration(rapid.SampledFrom([]int{30, 100, 1000}).Draw(w.t, "hours")) * hour)
	ask := decision.Ask(id, scope, until, "technician", "on order", w.now)
	w.decides(d, ask, act{})
	given := approval(ask, "head", w.now)
	result := act{what: "permit", id: id, scope: told, until: until}
	switch rapid.IntRange(0, 3).Draw(w.t, "answer") {
	case 0:
		w.decides(d, decision.About(decision.RefuseExemption, id, "head", "no", w.now), act{})
		return
	case 1: // another end than was asked for is no approval
		given.Exemption.Until = until.Add(hour)
		result = act{}
	}
	w.decides(d, given, result)
}

func (w *town) end(d *district) {
	if d.permits == 0 {
		return
	}
	id := fmt.Sprintf("ex-%d", rapid.IntRange(1, d.permits).Draw(w.t, "ended"))
	w.decides(d, decision.About(decision.EndExemption, id, "head", "it has come", w.now), act{what: "end", id: id})
}

func (w *town) assign(d *district, c *carrier) {
	groups := rapid.SampledFrom([][]string{nil, {"Year 6"}, {"Trolley B", "Year 6"}}).Draw(w.t, "groups")
	out := c.school
	c.school = d.school
	c.assign(w.tb, w.now, groups)
	c.school = out
	w.record(d)
	d.model = append(d.model, act{what: "assign", device: string(c.id), received: w.now, groups: groups, class: proof.Kept})
}

// others records what changes none of the four rules.
func (w *town) others(d *district, c *carrier) {
	switch rapid.IntRange(0, 2).Draw(w.t, "other") {
	case 0:
		change, person := drawKeeping(w.t, []*laptop{c.laptop}, w.now)
		d.keep(w.tb, w.now, "technician", person, change)
	case 1:
		d.closed = true
		d.setCalendar(w.tb, w.now, autumn(rapid.IntRange(0, 60).Draw(w.t, "begins"), rapid.IntRange(1, 30).Draw(w.t, "lasts")))
	case 2:
		open := openOf("in-1", "2026-01", c.id, w.now)
		open.Kind, open.Links[0].Lost = incident.Other, false
		d.records(w.tb, w.now, open)
	}
	w.record(d)
}

// forget forgets a class up to the month before this one.
func (w *town) forget(d *district) {
	class := rapid.SampledFrom([]proof.Class{proof.People, proof.Contacts, proof.Inventory, proof.Media, proof.Posture}).Draw(w.t, "class")
	for month := term; month.Year() < w.now.Year() || month.Month() < w.now.Month(); month = month.AddDate(0, 1, 0) {
		m := ledger.Month{Year: month.Year(), Month: month.Month()}
		_, err := d.disk.Forget(context.Background(), class, m, func(ledger.Stored) bool { return false }, func(p ledger.Purge) (ledger.Entry, error) {
			section := proof.Section{Name: "purge", Class: proof.Kept, Body: fmt.Append(nil, p)}
			e := d.envelope(proof.KindPurge, "", w.now)
			e.Sections = []proof.SectionRef{section.Ref(0, 0)}
			return ledger.Entry{Envelope: e, Sections: []proof.Section{section}}, nil
		})
		if errors.Is(err, ledger.ErrNothingToForget) {
			continue
		}
		if err != nil {
			w.tb.Fatal(err)
		}
		d.model = d.model.forgotten(class, m)
		d.vague = d.vague || class == proof.Media || class == proof.Posture
	}
}

// changes changes what is so on a laptop, or what its clock says.
func (c *carrier) changes(t *rapid.T) {
	states := []posture.Reading[posture.EncryptionState]{
		posture.Read(posture.Unencrypted), posture.Read(posture.Encrypted), posture.Unread[posture.EncryptionState](posture.Denied),
	}
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0, 1, 2, 3:
		n := rapid.IntRange(0, 2).Draw(t, "volume")
		v := volume(n == 1)
		v.Encryption = states[n]
		c.facts.Volumes = posture.Found("sysfs", v)
	case 4, 5:
		c.facts.Security.Items[0].Firewall = posture.Read(rapid.Bool().Draw(t, "firewall"))
	case 6:
		c.facts.Media.Items = nil
	case 7:
		s := stick(serial, posture.Encrypted)
		s.Encryption = states[rapid.IntRange(0, 2).Draw(t, "stick")]
		c.facts.Media.Items = []posture.Medium{s}
	case 8:
		c.facts.Volumes = posture.NotFound[posture.Volume]("sysfs", posture.Denied)
	case 9:
		c.skew = time.Duration(rapid.IntRange(-50, 50).Draw(t, "skew")) * hour
		c.wrong = c.wrong || c.skew != 0
	}
}

func devicesOf(told map[string]*known) []string { return slices.Sorted(maps.Keys(told)) }
