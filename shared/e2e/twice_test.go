package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/view"
)

// copied is a second machine with everything that a laptop's state folder holds:
// its disk was copied.
func (l *laptop) copied(name string) *laptop {
	l.w.t.Helper()
	c := &laptop{w: l.w, device: l.device, state: filepath.Join(l.w.dir, name), machine: filepath.Join(l.w.dir, name+"-machine")}
	must(l.w.t, os.CopyFS(c.state, os.DirFS(l.state)))
	must(l.w.t, os.Chmod(c.state, 0o711))
	must(l.w.t, os.Mkdir(c.machine, 0o755))
	c.becomes("windows-laptop")
	return c
}

// twoMachines returns who answers to one name.
func (w *world) twoMachines() []view.TwoOfOne {
	w.t.Helper()
	return ask[view.TwoMachines](w, "apart.list", collectorapp.ApartArguments{}).Devices
}

// code returns what a machine that asks who it is shows.
func (l *laptop) code() string {
	_, after, ok := strings.Cut(l.status().Trouble, "shows the code ")
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(after, ":")
	return code
}

// TestACopiedDiskAsksForANameOfItsOwn: the disk of an enrolled laptop was copied
// to another, whose firmware has other numbers. It never speaks in the first
// one's name, which goes on as before.
func TestACopiedDiskAsksForANameOfItsOwn(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.numberedLaptop("laptop", c.agents, "6fa3d5b1-7c58-4c7a-8a55-3f0e2b19c7d4", "PF2X9Q7R")
	w.untilPassing(time.Second, "it is acknowledged", func() bool { return l.status().Acknowledged >= 1 && l.status().Waiting == 0 })
	must(t, l.stop())
	other := l.copied("other")
	other.numbered("0b1d6a52-2f6f-4a1e-9b0a-70a5f7c5c9aa", "PF2X9Q8S")
	l.run()
	other.run()
	w.untilPassing(time.Second, "the copy waits", func() bool { return len(w.twoMachines()) == 1 && other.code() != "" })
	if d := w.twoMachines()[0]; d.Twice != nil || len(d.Claimants) != 1 || !d.Claimants[0].Moved || len(d.Claimants[0].Differ) != 2 {
		t.Fatalf("who asks is %+v", d)
	}
	if d := l.shown(); d.Twice != nil || d.Met == 0 {
		t.Errorf("the laptop is doubted: %+v", d.Device)
	}
	technician := w.callerOf(c, "Morgan Ellis", access.Technician)
	school := "/schools/" + string(w.only())
	var list view.TwoMachines
	if got := technician.ask(school+"/two-machines", nil, &list); got != http.StatusOK || len(list.Devices) != 1 {
		t.Fatalf("the list: %d, %+v", got, list)
	}
	one := list.Devices[0].Claimants[0]
	change := admission.Change{What: admission.TellApart, Device: one.Device, Key: one.Key}
	if got := w.callerOf(c, "Gail Governor", access.Governor).ask(school+"/enrolments", api.NewAdmission{Change: change, Reason: "x"}, nil); got != http.StatusForbidden {
		t.Errorf("a governor decides: %d", got)
	}
	if got := technician.ask(school+"/enrolments", api.NewAdmission{Change: change, Reason: "a second-hand laptop with the first one's disk"}, nil); got != http.StatusCreated {
		t.Fatalf("admitted: %d", got)
	}
	w.untilPassing(time.Minute, "the copy is a laptop of its own", func() bool {
		own := other.status().Device
		if own == "" || own == l.device {
			return false
		}
		other.device = own
		return other.shown().LastReport >= 1
	})
	w.allShown()
	if a, b := l.shown(), other.shown(); a.Met == 0 || b.Met == 0 || a.Ownership != b.Ownership || len(w.twoMachines()) != 0 {
		t.Errorf("they are %+v and %+v", a.Device, b.Device)
	}
	w.rebuiltSame(l, other)
	w.verified()
}

// TestTwoMachinesWithOneName: nothing tells two machines with one key apart, and
// both speak. Neither is believed until somebody has said which is which, and
// the right one loses nothing that it had to say.
func TestTwoMachinesWithOneName(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.numberedLaptop("laptop", c.agents, "03000200-0400-0500-0006-000700080009", "To be filled by O.E.M.")
	w.untilPassing(time.Second, "it is acknowledged", func() bool { return l.status().Acknowledged >= 1 && l.status().Waiting == 0 })
	if l.shown().Met == 0 {
		t.Fatal("nothing is met")
	}
	must(t, l.stop())
	other := l.copied("other")
	other.run() // it speaks first, as if it were the laptop
	other.becomes("windows-laptop-suspended")
	w.untilPassing(time.Minute, "the copy says something of its own", func() bool { return other.status().Acknowledged >= 2 })
	network := newLink(t, c.agents)
	network.Cut()
	must(t, other.stop())
	l.run()
	l.becomes("windows-laptop-suspended")
	w.untilPassing(time.Minute, "two machines are noticed", func() bool { return l.shown().Twice != nil && l.code() != "" })
	other.run()
	w.untilPassing(time.Minute, "both ask", func() bool { return len(w.twoMachines()) == 1 && len(w.twoMachines()[0].Claimants) == 2 })
	w.allShown()
	d := l.shown()
	for _, f := range d.Findings {
		if f.Standing == view.Met {
			t.Errorf("%s is Met", f.Rule)
		}
	}
	if d.Met != 0 || d.NotProven == 0 {
		t.Errorf("%d rules are met, %d not proven", d.Met, d.NotProven)
	}
	before := d.LastReport

	ask[collectorapp.AdmissionAnswer](w, "apart.decide", collectorapp.ApartArguments{Code: l.code(), Keeps: true, Reason: "looked at the label underneath"})
	l.becomes("windows-laptop")
	w.untilPassing(time.Minute, "it reports again", func() bool { return l.shown().Twice == nil && l.shown().LastReport > before && l.status().Waiting == 0 })
	w.untilPassing(time.Minute, "it is believed again", func() bool { return l.shown().Met > 0 })
	if n := l.status().Dropped; n != 0 {
		t.Errorf("it lost %d of what it had to say", n)
	}
	ask[collectorapp.AdmissionAnswer](w, "apart.decide", collectorapp.ApartArguments{Code: other.code(), Reason: "a copy of its disk"})
	w.untilPassing(time.Minute, "the other is a laptop of its own", func() bool {
		own := other.status().Device
		if own == "" || own == l.device {
			return false
		}
		other.device = own
		return other.shown().LastReport >= 1
	})
	w.allShown()
	w.rebuiltSame(l, other)
	w.verified()
}
