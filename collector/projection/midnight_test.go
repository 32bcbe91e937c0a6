package projection

import (
	"fmt"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// BenchmarkDay20k folds in a school day of 20,000 devices that were heard from
// over eight hours, each once, as one day and with a midnight in the middle of it;
// and counts a day alone.
func BenchmarkDay20k(b *testing.B) {
	s := newSchool(b, "hollybank")
	laptops := make([]*laptop, manyDevices)
	for i := range laptops {
		laptops[i] = s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		if i%10 == 0 {
			laptops[i].facts.Volumes.Items = []posture.Volume{volume(false)}
		}
		laptops[i].report(b, term, term.Add(time.Duration(i)*8*hour/manyDevices))
	}
	f := open(b, s)
	f.catchUp(b)
	b.Run("count", func(b *testing.B) { // as a page does that asks for today
		for b.Loop() {
			at := term.Add(30 * hour)
			if _, err := f.q.Trend(b.Context(), s.id, date(at), date(at), at); err != nil {
				b.Fatal(err)
			}
		}
	})
	at := term
	for _, midnight := range []bool{false, true} {
		b.Run(map[bool]string{false: "without", true: "midnight"}[midnight], func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				at = at.Add(2 * dayLong)
				begins := at // at eight in the morning
				if midnight {
					begins = at.Add(12 * hour) // at eight in the evening
				}
				// The day before is counted apart from what is measured.
				laptops[0].contact(b, begins, begins)
				f.catchUp(b)
				for i, l := range laptops {
					received := begins.Add(time.Duration(i) * 8 * hour / manyDevices)
					l.contact(b, received, received)
				}
				b.StartTimer()
				f.catchUp(b)
			}
		})
	}
}
