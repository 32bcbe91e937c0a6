package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// year writes a year of 2,000 reports, and a contact every hour between them,
// into the ledger of a school that has other entries before and between.
func (l *laptop) year(between int) (end time.Time) {
	l.t.Helper()
	others := func(n int, at time.Time) (list []ledger.Entry) {
		for i := range n {
			list = append(list, must(l.maker.Gap("d2", roster.Gap{From: uint64(i), To: uint64(i)}, at)))
		}
		return list
	}
	step := 365 * day / 2000
	at := monday
	for n := range 2000 {
		at = at.Add(step)
		disks := posture.Found("test", volume(posture.SystemVolume, posture.Encrypted, posture.ProtectionOn), volume(posture.DataVolume, posture.Encrypted, posture.ProtectionOn))
		if n%100 == 7 {
			disks = plain()
		}
		list := append(others(between, at), l.entry(disks, at, at))
		for heard := at.Add(time.Minute); heard.Before(at.Add(step)); heard = heard.Add(time.Hour) {
			list = append(list, l.contactEntry(heard, heard))
		}
		l.append(list...)
	}
	l.append(others(50*between, at.Add(2*time.Minute))...)
	return at.Add(time.Hour)
}

// BenchmarkYear gathers, seals and verifies evidence about a device with a year
// of reports.
func BenchmarkYear(b *testing.B) {
	for _, between := range []int{0, 50} {
		l := newLaptop(b)
		end := l.year(between)
		known := l.found() // as the view does
		b.Run(fmt.Sprintf("others=%d/gather", between), func(b *testing.B) {
			for b.Loop() {
				if err := l.school.Roster.CatchUp(b.Context()); err != nil {
					b.Fatal(err)
				}
				made, err := Collect(b.Context(), l.school, Question{Device: "d1", At: end, By: "Priya Anand", Now: end, Found: known})
				if err != nil {
					b.Fatal(err)
				}
				file := must(made.Seal(l.sealing))
				b.ReportMetric(float64(len(file)), "bytes/file")
			}
		})
		_, file := l.sealed(end)
		b.Run(fmt.Sprintf("others=%d/verify", between), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := Verify(file, Trust{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
