package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
)

// numbered gives a laptop of Windows the numbers that its firmware has.
func (l *laptop) numbered(uuid, serial string) {
	l.w.t.Helper()
	file := filepath.Join(l.machine, "reads.jsonl")
	data, err := os.ReadFile(file)
	must(l.w.t, err)
	with := strings.Replace(string(data), `"TPMVersion":2`, `"TPMVersion":2,"SystemUUID":"`+uuid+`","SystemSerial":"`+serial+`","BoardSerial":null,"ChassisSerial":"Default string"`, 1)
	must(l.w.t, os.WriteFile(file+".new", []byte(with), 0o644))
	must(l.w.t, os.Rename(file+".new", file))
}

// numberedLaptop enrols a laptop of Windows with numbers of its own.
func (w *world) numberedLaptop(name, address, uuid, serial string) *laptop {
	w.t.Helper()
	l := w.unstarted(name, "windows-laptop", address)
	l.numbered(uuid, serial)
	l.run()
	w.untilPassing(time.Second, "its report shows", func() bool { return l.shown().LastReport >= 1 })
	return l
}

// TestAMachineForFoundMediaIsSetUpAnew: the new install is told that found media are
// plugged into it, as the one before was; until it has said so nothing is to be.
func TestAMachineForFoundMediaIsSetUpAnew(t *testing.T) {
	const uuid, serial = "6fa3d5b1-7c58-4c7a-8a55-3f0e2b19c7d4", "PF2X9Q7R"
	w := newWorld(t)
	c := w.collect()
	old := w.numberedLaptop("old", c.agents, uuid, serial)
	w.imports("tag\nHB-PC-001\n", time.Time{})
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{
		Change: register.Change{What: register.Tie, Tag: "HB-PC-001"}, Device: old.device,
	})
	w.keeps(register.Change{What: register.Investigate, Tag: "HB-PC-001", On: true}, "")
	w.allShown()
	must(t, old.stop())
	w.clock.Advance(48 * time.Hour)
	fresh := w.numberedLaptop("fresh", c.agents, uuid, serial)
	w.allShown()
	ask[collectorapp.AdmissionAnswer](w, "same.decide", collectorapp.SameArguments{
		Device: fresh.device, What: admission.SameHardware, Reason: "looked at the label underneath",
	})
	w.allShown()
	if d := fresh.shown(); d.AssetTag != "HB-PC-001" {
		t.Fatalf("the asset is %q", d.AssetTag)
	}
	list := ask[collectorapp.AssignmentList](w, "device.assignments", collectorapp.ListArguments{Device: fresh.device})
	if len(list.Assignments) != 2 || !list.Assignments[0].Investigation {
		t.Errorf("it is told %+v", list.Assignments)
	}
	w.untilPassing(time.Minute, "it says that it knows", func() bool {
		found := ask[view.FoundMedia](w, "media.find", collectorapp.MediaArguments{})
		return len(found.Machines) == 1 && len(found.Waiting) == 0
	})
}

// TestS7 is "Re-imaged, same hostname".
func TestS7(t *testing.T) {
	w := worldAt(t, inLondon(t, "2026-09-04 08:00"))
	c := w.collect()
	const uuid, serial = "4C4C4544-0039-4A10-8052-B7C04F4B3733", "PF2ABCDE"
	old := w.numberedLaptop("old", c.agents, uuid, serial)
	// Another of the same host name, with what makers leave in place of numbers.
	other := w.numberedLaptop("other", c.agents, "03000200-0400-0500-0006-000700080009", "To be filled by O.E.M.")
	ask[collectorapp.ImportAnswer](w, "register.import", collectorapp.ImportArguments{File: "devices.csv", Source: []byte("tag,what\nHB-LT-014,staff laptop\n")})
	w.allShown()
	ask[collectorapp.RegisterAnswer](w, "register.change", collectorapp.RegisterArguments{Change: register.Change{
		What: register.Tie, Tag: "HB-LT-014", Device: "",
	}, Device: old.device})
	old.assesses(inLondon(t, "2026-10-12 09:00"))
	must(t, old.stop())
	before := ask[view.Coverage](w, "register.coverage", collectorapp.AssetArguments{})

	// Given a new agent key on the same hardware, when it enrols…
	anew := inLondon(t, "2026-10-14 10:00")
	w.clock.Advance(anew.Sub(w.clock.Now()))
	fresh := w.numberedLaptop("fresh", c.agents, uuid, serial)
	w.allShown()
	technician := w.callerOf(c, "Morgan Ellis", access.Technician)
	school := "/schools/" + string(w.only())

	// …then it is proposed as "same hardware, new install", never merged by
	// hostname or a placeholder serial.
	var list view.SameList
	if got := technician.ask(school+"/same-hardware", nil, &list); got != http.StatusOK || len(list.Same) != 1 {
		t.Fatalf("proposed: %d, %+v", got, list.Same)
	}
	p := list.Same[0]
	if string(p.Device) != fresh.device || string(p.Earlier) != old.device || p.AssetTag != "HB-LT-014" || p.Both || !slices.Equal(p.Agree, []string{"system-uuid", "system-serial"}) {
		t.Errorf("proposed is %+v", p)
	}
	for _, l := range []*laptop{old, other, fresh} {
		if d := l.shown(); !strings.EqualFold(d.Hostname, "hb-lt-014") || d.ReplacedBy != "" || len(d.Earlier) != 0 {
			t.Errorf("%s was merged: %+v", d.Hostname, d.Device)
		}
	}
	total := func() view.Overview {
		var o view.Overview
		if got := technician.ask(school+"/overview", nil, &o); got != http.StatusOK {
			t.Fatalf("the overview: %d", got)
		}
		return o
	}
	if o := total(); o.Devices != 3 {
		t.Errorf("nobody decided, and %d laptops are counted", o.Devices)
	}
	// A placeholder makes nothing the same, whoever says so.
	change := admission.Change{What: admission.SameHardware, Device: p.Device, Earlier: other.shown().ID}
	if got := technician.ask(school+"/enrolments", api.NewAdmission{Change: change, Reason: "they have one name"}, nil); got != http.StatusConflict {
		t.Errorf("merged by host name: %d", got)
	}
	if got := w.callerOf(c, "Gail Governor", access.Governor).ask(school+"/enrolments", api.NewAdmission{Change: change, Reason: "x"}, nil); got != http.StatusForbidden {
		t.Errorf("a governor decides: %d", got)
	}

	// After confirmation counts do not double…
	change.Earlier = p.Earlier
	if got := technician.ask(school+"/enrolments", api.NewAdmission{Change: change, Reason: "looked at the label underneath"}, nil); got != http.StatusCreated {
		t.Fatalf("confirmed: %d", got)
	}
	w.allShown()
	o := total()
	for _, r := range o.Rules {
		if n := r.Met + r.NotMet + r.NotProven + r.Exempt + r.NotFor; n != 2 {
			t.Errorf("%s counts %d laptops", r.Rule, n)
		}
	}
	coverage := ask[view.Coverage](w, "register.coverage", collectorapp.AssetArguments{})
	if o.Devices != 2 || coverage.Enrolled != before.Enrolled || coverage.Of(view.ByAgent) != 1 || coverage.Registered != 1 {
		t.Errorf("%d laptops; the coverage was %+v and is %+v", o.Devices, before.Counts, coverage.Counts)
	}
	if d := fresh.shown(); d.AssetTag != "HB-LT-014" || len(d.Earlier) != 1 || string(d.Earlier[0].Device) != old.device {
		t.Errorf("the asset is %q of %+v", d.AssetTag, d.Earlier)
	}
	// …old evidence stays…
	was := w.sheetOf(old.device, inLondon(t, "2026-10-12 09:30"))
	if was.State != evidence.Encrypted || !was.Since.Truncate(time.Minute).Equal(inLondon(t, "2026-09-04 08:00")) {
		t.Errorf("of the install before: %s since %v", was.State, was.Since)
	}
	// …and "encrypted since" restarts.
	now := w.sheetOf(fresh.device, w.clock.Now())
	if now.State != evidence.Encrypted || now.Since.Before(anew) || now.EnrolledAt.Before(anew) {
		t.Errorf("of the new install: %s since %v", now.State, now.Since)
	}
	// The old key is known no more, and what is shown is what the record says.
	old.run()
	w.untilPassing(time.Second, "the old key is refused", func() bool { return strings.Contains(old.status().Trouble, "revoked") })
	must(t, old.stop())
	w.rebuiltSame(old, other, fresh)
	w.verified()
}

// rebuiltSame makes the view anew: it shows the same of some laptops.
func (w *world) rebuiltSame(laptops ...*laptop) {
	w.t.Helper()
	dump := func() string {
		var all []any
		for _, l := range laptops {
			all = append(all, ask[any](w, "device.show", collectorapp.ListArguments{Device: l.device}))
		}
		for _, operation := range []string{"device.list", "breach.list", "same.list"} {
			all = append(all, ask[any](w, operation, struct{}{}))
		}
		text, err := json.MarshalIndent(all, "", " ")
		must(w.t, err)
		return string(text)
	}
	w.allShown()
	followed := dump()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	if rebuilt := dump(); rebuilt != followed {
		w.t.Errorf("rebuilt (+) is not what was followed (-):\n%s", cmp.Diff(followed, rebuilt))
	}
}

// sheetOf has evidence made of a device at a moment.
func (w *world) sheetOf(device string, at time.Time) evidence.Sheet {
	w.t.Helper()
	a := ask[collectorapp.EvidenceAnswer](w, "evidence.device", collectorapp.EvidenceArguments{Device: device, At: at})
	b, _, err := evidence.Verify(a.Bundle, evidence.Trust{})
	must(w.t, err)
	return b.Sheet
}

// TestRefusedToBeTheSame: what somebody said once is remembered, and two that
// report at once are not one that was set up anew.
func TestRefusedToBeTheSame(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	const uuid, serial = "4C4C4544-0039-4A10-8052-B7C04F4B3733", "PF2ABCDE"
	w.numberedLaptop("one", c.agents, uuid, serial)
	two := w.numberedLaptop("two", c.agents, uuid, serial)
	w.clock.Advance(3 * time.Hour)
	var list view.SameList
	w.untilPassing(time.Minute, "both have reported", func() bool {
		list = ask[view.SameList](w, "same.list", collectorapp.SameArguments{})
		return len(list.Same) == 1 && list.Same[0].Both
	})
	decide := collectorapp.SameArguments{Device: two.device, What: admission.SameHardware, Reason: "the label says so"}
	if err := w.do("same.decide", decide, new(collectorapp.AdmissionAnswer)); err == nil || !strings.Contains(err.Error(), "two computers, or one whose disk was copied") {
		t.Errorf("two at once were confirmed: %v", err)
	}
	decide.What = admission.OtherHardware
	ask[collectorapp.AdmissionAnswer](w, "same.decide", decide)
	w.allShown()
	if list := ask[view.SameList](w, "same.list", collectorapp.SameArguments{}); len(list.Same) != 0 {
		t.Errorf("proposed once more: %+v", list)
	}
	if list := ask[view.SameList](w, "same.list", collectorapp.SameArguments{All: true}); len(list.Same) != 1 || list.Same[0].Refused == nil {
		t.Errorf("it is not remembered: %+v", list)
	}
}
