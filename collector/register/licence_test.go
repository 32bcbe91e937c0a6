package register

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// TestTallyListsTheFirstByTag: in whatever order devices come, all are counted, and
// as many as are wanted are listed, of those that count and of the others.
func TestTallyListsTheFirstByTag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{0, 1, 2, 7, AllDevices}).Draw(t, "most")
		tally := Licence{Product: "Sketch"}.Tally(most)
		var all [2][]string
		for n, number := range rapid.SliceOfNDistinct(rapid.IntRange(1, 500), 0, 60, rapid.ID).Draw(t, "tags") {
			o := Owner{Device: posture.DeviceID(fmt.Sprint("d", n)), Tag: fmt.Sprintf("HB-LT-%03d", number), Revoked: rapid.Bool().Draw(t, "revoked")}
			which := 0
			if o.Revoked {
				which = 1
			}
			all[which] = append(all[which], o.Tag)
			tally.Add(o)
		}
		if counted, not := tally.Counted(); counted != len(all[0]) || not != len(all[1]) {
			t.Errorf("counted %d and %d of %v", counted, not, all)
		}
		var want []string
		for _, tags := range all {
			slices.Sort(tags)
			want = append(want, tags[:min(most, len(tags))]...)
		}
		slices.Sort(want)
		var got []string
		for _, c := range tally.Reconciled(0, time.Time{}).Devices {
			if got = append(got, c.Tag); (c.Excluded != "") != slices.Contains(all[1], c.Tag) {
				t.Errorf("%s: excluded for %q", c.Tag, c.Excluded)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("of %v, %d each: listed %v", all, most, got)
		}
	})
}

// BenchmarkTallyOfAll lists every device of a trust, which come in no order.
func BenchmarkTallyOfAll(b *testing.B) {
	const devices = 100_000
	for b.Loop() {
		tally := Licence{Product: "Sketch"}.Tally(AllDevices)
		for n := range devices {
			tally.Add(Owner{Device: posture.DeviceID(fmt.Sprint("d", n)), Tag: fmt.Sprintf("HB-LT-%06d", n*7919%devices)})
		}
		if got := tally.Reconciled(0, time.Time{}); len(got.Devices) != devices {
			b.Fatalf("listed %d", len(got.Devices))
		}
	}
}
