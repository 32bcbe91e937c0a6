package projection

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestForgottenIsForgottenInTheView follows a real ledger on disk while the
// media and findings of a month are forgotten: the view holds nothing of it any more, and
// is what a rebuild makes, before and after, also by a process that was started
// in between.
func TestForgottenIsForgottenInTheView(t *testing.T) {
	s := newSchool(t, "hollybank")
	l := s.enrol(t, "hb-lt-014", term)
	l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
	l.facts.Volumes.Items = []posture.Volume{volume(false)}
	l.report(t, term, term)
	l.facts.Media.Items = nil
	l.report(t, term.Add(40*24*hour), term.Add(40*24*hour))

	disk := openLedger(t, s, open(t, s))
	shelve(t, s, disk)
	onDisk := func(f fixture) fixture { f.folders[0].school.Ledger = disk; return f }
	live := onDisk(open(t, s))
	live.catchUp(t)
	if before := live.dump(t, s); !strings.Contains(before, serial) {
		t.Fatalf("the view never had what is to be forgotten: %s", before)
	}
	for _, class := range []proof.Class{proof.Media, proof.Posture} {
		_, err := disk.Forget(t.Context(), class, ledger.Month{Year: term.Year(), Month: term.Month()},
			func(ledger.Stored) bool { return false },
			func(p ledger.Purge) (ledger.Entry, error) {
				section := proof.Section{Name: "purge", Class: proof.Kept, Body: fmt.Append(nil, p)}
				e := s.envelope(proof.KindPurge, "", term.Add(80*24*hour))
				e.Sections = []proof.SectionRef{section.Ref(0, 0)}
				return ledger.Entry{Envelope: e, Sections: []proof.Section{section}}, nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	// As a process that is started again: it knows only where it was.
	live.folders[0].begun = false
	live.catchUp(t)
	followed := live.dump(t, s)
	if strings.Contains(followed, serial) {
		t.Error("the view holds what was forgotten")
	}
	again := onDisk(open(t, s))
	again.catchUp(t)
	if rebuilt := again.dump(t, s); rebuilt != followed {
		a, b := strings.Split(followed, "\n"), strings.Split(rebuilt, "\n")
		for _, row := range a {
			if !slices.Contains(b, row) {
				t.Errorf("followed: %.300s", row)
			}
		}
		for _, row := range b {
			if !slices.Contains(a, row) {
				t.Errorf("rebuilt: %.300s", row)
			}
		}
	}
}
