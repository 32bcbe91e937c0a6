package projection

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
)

// TestNothingMakesAFailingDeviceMet draws what happens at one to three schools that
// share a collector: reports in time, late, sent again, after losses, by clocks
// that are wrong; silences, decisions, exemptions, policies that come and go,
// forgetting, restarts at any point and views made again. A model that knows
// breach-states.md and nothing else says what may be shown, and is asked along the
// way and at the end.
func TestNothingMakesAFailingDeviceMet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newTown(t, rt)
		most := 40
		if os.Getenv("CARETAKER_THOROUGH") != "" {
			most = 120
		}
		for range rapid.IntRange(1, most).Draw(rt, "acts") {
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 0, 30, 600, 1300, 1400, 3000, 30_000}).Draw(rt, "minutes")) * time.Minute)
			w.happens(w.schools[rapid.IntRange(0, len(w.schools)-1).Draw(rt, "school")])
			for i := range w.schools {
				if size := rapid.Uint64Range(0, 3).Draw(rt, "size"); size > 0 {
					if err := w.folders[i].introduce(); err != nil {
						rt.Fatal(err)
					}
					if _, err := w.folders[i].step(context.Background(), size); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if rapid.IntRange(0, 7).Draw(rt, "ask") == 7 {
				w.asked(0)
			}
		}
		for _, later := range []time.Duration{0, hour, 30 * hour, 13 * 24 * hour, 20 * 24 * hour, 60 * 24 * hour} {
			w.asked(later)
		}
		w.rebuilt()
	})
}

// happens has one thing happen at a school.
func (w *town) happens(d *district) {
	n := rapid.IntRange(0, 23).Draw(w.t, "what")
	if len(d.devices) == 0 || n == 23 && len(d.devices) < 4 {
		w.enrol(d)
		return
	}
	c := d.devices[max(0, rapid.IntRange(-4, len(d.devices)-1).Draw(w.t, "laptop"))] // mostly the first, so that much happens to it
	switch n {
	case 0, 1, 2, 3, 4:
		c.changes(w.t)
		w.report(c)
		w.deliver(d, c)
	case 5, 6: // it is somewhere else, and says so later
		c.changes(w.t)
		w.report(c)
	case 7, 8, 19, 20:
		w.contact(c)
		w.deliver(d, c)
	case 9:
		w.lose(c)
	case 10: // sent again: it is recorded already
		if len(c.sent) > 0 {
			p := c.sent[rapid.IntRange(0, len(c.sent)-1).Draw(w.t, "again")]
			p.envelope.ReceivedAt = uint64(w.now.UnixMilli())
			w.append(d, p.envelope, p.sections)
		}
	case 11:
		w.publish(d, rapid.SampledFrom([]string{"", "CFG-01", "USB-01"}).Draw(w.t, "lacks"))
	case 12:
		c.policy, c.number, c.lacks = d.policy, d.number, d.policies[d.number]
	case 13, 14, 21:
		w.decideBreach(d, c)
	case 15, 22:
		w.permit(d, c)
	case 16:
		w.end(d)
	case 17:
		w.assign(d, c)
	case 18:
		switch rapid.IntRange(0, 3).Draw(w.t, "else") {
		case 0:
			w.others(d, c)
		case 1:
			w.forget(d)
		case 2:
			w.restart()
		case 3:
			if err := w.folders[slices.Index(w.schools, d)].startAgain(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// asked compares what every school's pages show with what the model says of it, a
// while after the last thing that happened.
func (w *town) asked(later time.Duration) {
	if err := w.CatchUp(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	now := w.now.Add(later)
	for _, d := range w.schools {
		told, permits := d.model.tell()
		page, err := w.q.Devices(context.Background(), d.id, view.DeviceQuery{Limit: 500}, now)
		if err != nil {
			w.t.Fatal(err)
		}
		var listed []string
		for _, device := range page.Devices {
			listed = append(listed, string(device.ID))
		}
		slices.Sort(listed)
		if !slices.Equal(listed, devicesOf(told)) {
			w.t.Fatalf("%s has the devices %v, want %v", d.id, listed, devicesOf(told))
		}
		for _, c := range d.devices {
			shown, err := w.q.Device(context.Background(), d.id, c.id, now)
			if err != nil {
				w.t.Fatal(err)
			}
			if shown.School != d.id {
				w.t.Fatalf("a device of %s is shown as one of %s", d.id, shown.School)
			}
			q := asking{w.t, d, c, told[string(c.id)], permits, shown, now}
			for _, rule := range modelRules {
				q.standings(rule)
				q.breaches(modelMatters[rule])
			}
		}
	}
}

// asking is what is compared about one device at one moment.
type asking struct {
	t       *rapid.T
	d       *district
	c       *carrier
	told    *known
	permits []act
	shown   view.DeviceDetail
	now     time.Time
}

// standings compares how a rule shows. Where the clock was wrong, or what was
// reported is forgotten, only this counts: what fails is never shown as met.
func (q asking) standings(rule string) {
	t := modelMatters[rule]
	want := q.told.standing(rule, permitted(q.permits, string(q.c.id), q.told, t, q.now), q.now)
	var got []string
	for _, f := range q.shown.Findings {
		if f.Rule == rule && f.Subject.Key == t.subject {
			got = append(got, string(f.Standing))
		}
	}
	if rule == "LIF-01" && q.d.closed && want != "Met" {
		return // some days do not count, so it may be met yet
	}
	exact := !q.c.wrong && !q.d.vague || rule == "LIF-01"
	switch {
	case want != "Met" && want != "" && slices.Contains(got, "Met") && (exact || want != "Not proven"):
		q.t.Fatalf("%s, %s of %s on %s: shown as Met, and it is %s", q.now.Sub(term), q.c.id, q.d.id, rule, want)
	case !exact, want == "Not proven" && rule == "ENC-01": // what could not be read is found of no subject
	case want == "" && len(got) > 0, want != "" && !slices.Equal(got, []string{want}):
		q.t.Fatalf("%s, %s of %s on %s: shown as %q, want %q", q.now.Sub(term), q.c.id, q.d.id, rule, got, want)
	}
}

// breaches compares the breaches of a matter: none is lost, none is made up, and
// their times are the model's. Where the clock was wrong only the last one's
// being there is known.
func (q asking) breaches(t matter) {
	want := slices.Clone(q.told.breaches[t])
	if silent := q.told.heard.Add(modelSilence); t.rule == "LIF-01" && q.now.After(silent) {
		d := known{heard: q.told.heard, breaches: map[matter][]stretch{t: want}}
		d.silent(q.now)
		want = d.breaches[t]
	}
	var got []view.Breach
	for _, b := range q.shown.Breaches {
		if b.Rule == t.rule && b.Subject.Key == t.subject {
			got = append(got, b)
		}
	}
	slices.SortFunc(got, func(a, b view.Breach) int { return a.Number - b.Number })
	fatal := func(what string) {
		q.t.Helper()
		q.t.Fatalf("%s, %s of %s on %s: %s:\nshown %+v\nwant  %+v", q.now.Sub(term), q.c.id, q.d.id, t.rule, what, got, want)
	}
	if t.rule != "LIF-01" && q.d.vague {
		return
	}
	if len(want) > 0 && len(got) == 0 && (t.rule != "LIF-01" || !q.d.closed) {
		fatal("a breach is lost")
	}
	if len(want) == 0 && len(got) > 0 {
		fatal("a breach is made up")
	}
	if len(want) == 0 || t.rule == "LIF-01" && q.d.closed {
		return
	}
	for _, b := range got {
		if b.Status == breach.NotYet || b.FirstFailed.After(b.ReceivedAt) {
			fatal("a breach failed before it did")
		}
	}
	stands := permitted(q.permits, string(q.c.id), q.told, t, q.now)
	last, lastShown := want[len(want)-1], got[len(got)-1]
	if q.c.wrong && t.rule != "LIF-01" {
		if last.stands() == (lastShown.Status == breach.Resolved) {
			fatal("the last one stands and does not")
		}
		return
	}
	if len(got) != len(want) {
		fatal("there are others")
	}
	for i, b := range got {
		s := want[i]
		if b.Status.String() != s.status(t, stands, q.now) {
			fatal("the status is " + b.Status.String() + ", want " + s.status(t, stands, q.now))
		}
		if b.FirstFailed.Sub(s.first).Abs() > time.Second || !s.stands() && b.ResolvedAt.Sub(s.mended).Abs() > time.Second {
			fatal("the times differ")
		}
	}
}

// rebuilt makes every view anew and compares it with what following made.
func (w *town) rebuilt() {
	dump := func(d *district) string {
		var b bytes.Buffer
		if err := w.view.Dump(&b, d.id); err != nil {
			w.t.Fatal(err)
		}
		return b.String()
	}
	var followed []string
	for _, d := range w.schools {
		followed = append(followed, dump(d))
	}
	if err := w.Rebuild(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	for i, d := range w.schools {
		if rebuilt := dump(d); rebuilt != followed[i] {
			w.t.Fatalf("%s: followed and rebuilt differ: %.3000s", d.id, differences(followed[i], rebuilt))
		}
	}
}
