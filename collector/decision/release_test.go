package decision

import (
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestDecisionToOfferARelease(t *testing.T) {
	good := Decision{
		Kind: OfferRelease, By: "Sam Okafor", At: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Reason: "the new version, to the first ten",
		Release: &release.Offer{Version: "v1.2.0", Group: "Year 6", Share: 10, PerDay: 20},
	}
	for _, o := range []*release.Offer{good.Release, {}} { // the second is the stop
		d := good
		d.Release = o
		s, err := Encode(d, [proof.SaltSize]byte{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(s.Body); err != nil || *got.Release != *o || got.By != d.By {
			t.Errorf("%s: got %+v, %v", s.Body, got, err)
		}
	}
	for name, change := range map[string]func(*Decision){
		"no release":        func(d *Decision) { d.Release = nil },
		"no version":        func(d *Decision) { d.Release = &release.Offer{Version: "latest", Share: 10} },
		"nobody":            func(d *Decision) { d.Release = &release.Offer{Version: "v1.2.0"} },
		"more than all":     func(d *Decision) { d.Release = &release.Offer{Version: "v1.2.0", Share: 101} },
		"something else":    func(d *Decision) { d.Particulars = &particulars.Particulars{} },
		"a person":          func(d *Decision) { d.Person = "Robin Hale" },
		"of another kind":   func(d *Decision) { d.Kind = Register },
		"a share of a stop": func(d *Decision) { d.Release = &release.Offer{Share: 10} },
	} {
		d := good
		change(&d)
		if err := d.Check(); err == nil {
			t.Errorf("%s: %+v is a decision", name, d)
		}
	}
}
