package projection

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// processor begins to count the processor time that Go code and its memory
// management take, and returns what reports it for each round: with others at work
// on the machine that says more than the time on the wall.
func processor(*testing.B) (report func(*testing.B)) {
	spent := func() float64 {
		samples := []metrics.Sample{{Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
		runtime.GC() // which is when they are counted
		metrics.Read(samples)
		return samples[0].Value.Float64() - samples[1].Value.Float64()
	}
	before := spent()
	return func(b *testing.B) { b.ReportMetric((spent()-before)/float64(b.N), "cpu-s/op") }
}

// BenchmarkLicences20k counts what is installed of five licences at a school of
// 20,000 devices with 500 programs each, from a ledger on disk.
func BenchmarkLicences20k(b *testing.B) {
	s := newSchool(b, "hollybank")
	disk := openLedger(b, s, open(b, s))
	config := s.config()
	config.Ledger = disk
	f := opened(b, []School{config})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range manyDevices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		stocked(l, 500, r)
		l.report(b, term, term)
		if i%500 == 499 {
			shelve(b, s, disk)
			clear(s.ledger.bodies)
			clear(s.ledger.salted)
			f.catchUp(b)
		}
	}
	for n := range 5 {
		s.keep(b, term.Add(hour), "business manager", "", register.Change{
			What: register.SetLicence, Tag: fmt.Sprintf("Product %d", n), Purchase: &register.Purchase{Programs: []string{fmt.Sprintf("package-%d10*", n)}, Bought: 100},
		})
	}
	shelve(b, s, disk)
	f.catchUp(b)
	spent := processor(b)
	b.ResetTimer()
	for b.Loop() {
		list, err := f.q.Licences(b.Context(), s.id, view.LicenceQuery{}, term.Add(2*hour))
		if err != nil || len(list.Licences) != 5 || list.Licences[0].Installed == 0 {
			b.Fatalf("%+v, %v", list.Licences, err)
		}
	}
	spent(b)
}

// BenchmarkEveryBreach20k reads every breach that stands at a school of 20,000
// devices, as notices do when they look what is to be told: on a school day, and in
// the summer when all are silent.
func BenchmarkEveryBreach20k(b *testing.B) {
	f, s, _ := fleet(b, manyDevices)
	for name, after := range map[string]time.Duration{"day": hour, "summer": 42 * 24 * hour} {
		b.Run(name, func(b *testing.B) {
			spent := processor(b)
			total := 0
			for b.Loop() {
				total = 0
				for q := (view.BreachQuery{Limit: 500}); ; {
					page, err := f.q.Breaches(b.Context(), s.id, q, term.Add(after))
					if err != nil {
						b.Fatal(err)
					}
					total += len(page.Breaches)
					if q.After = page.Next; q.After == "" {
						break
					}
				}
			}
			spent(b)
			b.ReportMetric(float64(total), "breaches")
		})
	}
}

// BenchmarkPast20k folds the record of a school of 20,000 devices into a view of
// its own by one worker, as evidence about the school on a date does: a year in
// which each device reported once a month and was heard on each school day.
func BenchmarkPast20k(b *testing.B) {
	const months, days = 12, 16
	s := newSchool(b, "hollybank")
	f := open(b, s)
	disk := openLedger(b, s, f)
	var laptops []*laptop
	put := func() {
		shelve(b, s, disk)
		clear(s.ledger.bodies)
		clear(s.ledger.salted)
	}
	for i := range manyDevices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		differ(l, i)
		laptops = append(laptops, l)
	}
	put()
	for month := range months {
		at := term.Add(time.Duration(month) * 30 * 24 * hour)
		for i, l := range laptops {
			swap(l)
			l.report(b, at, at)
			if i%2000 == 1999 {
				put()
			}
		}
		for day := range days {
			at := at.Add(time.Duration(day+1) * 24 * hour)
			var batch []proof.Section
			for i, l := range laptops {
				batch = append(batch, l.contactSection(b, at))
				if len(batch) == 400 || i == len(laptops)-1 {
					s.ledger.append(s.envelope(proof.KindContacts, "", at), batch...)
					batch = nil
				}
			}
			put()
		}
	}
	spent := processor(b)
	b.ResetTimer()
	for b.Loop() {
		past := with(b, s, 1, usualMemory)
		past.folders[0].school.Ledger = disk
		past.catchUp(b)
	}
	spent(b)
	b.ReportMetric(float64(manyDevices*months), "reports")
	b.ReportMetric(float64(manyDevices*months*days), "contacts")
}
