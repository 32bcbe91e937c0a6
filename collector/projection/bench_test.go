package projection

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// fleet fills a view with devices, of which every tenth fails something.
func fleet(b *testing.B, devices int) (fixture, *school, []*laptop) {
	b.Helper()
	s := newSchool(b, "hollybank")
	var laptops []*laptop
	for i := range devices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		if i%10 == 0 {
			l.facts.Volumes.Items = []posture.Volume{volume(false)}
		}
		l.report(b, term, term.Add(time.Duration(i)*time.Millisecond))
		laptops = append(laptops, l)
	}
	f := open(b, s)
	f.catchUp(b)
	return f, s, laptops
}

const manyDevices = 20_000

// BenchmarkOverview20k asks for the overview of 20,000 devices: on a school
// day, after a weekend, and in the summer when all are silent.
func BenchmarkOverview20k(b *testing.B) {
	f, s, _ := fleet(b, manyDevices)
	for name, after := range map[string]time.Duration{"day": hour, "weekend": 65 * hour, "summer": 42 * 24 * hour} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := f.q.Overview(context.Background(), s.id, term.Add(after)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, query := range map[string]view.DeviceQuery{"first": {}, "search": {Search: "19999"}} {
		b.Run("devices/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := f.q.Devices(context.Background(), s.id, query, term.Add(hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, query := range map[string]view.BreachQuery{"first": {}, "none": {Rule: "CFG-01"}} {
		b.Run("breaches/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := f.q.Breaches(context.Background(), s.id, query, term.Add(hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("breaches/summer", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.q.Breaches(context.Background(), s.id, view.BreachQuery{}, term.Add(42*24*hour)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDevice asks for one device's page among few and many.
func BenchmarkDevice(b *testing.B) {
	for _, n := range []int{20, 2_000, 20_000} {
		f, s, _ := fleet(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := f.q.Device(context.Background(), s.id, "hb-lt-00010", term.Add(hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFold folds reports and contacts of 200 laptops.
func BenchmarkFold(b *testing.B) {
	for name, write := range map[string]func(l *laptop, at time.Time){
		"report":  func(l *laptop, at time.Time) { l.report(b, at, at) },
		"contact": func(l *laptop, at time.Time) { l.contact(b, at, at) },
	} {
		b.Run(name, func(b *testing.B) {
			f, _, laptops := fleet(b, 200)
			at := term
			for i := 0; b.Loop(); i++ {
				if i%len(laptops) == 0 {
					b.StopTimer()
					at = at.Add(10 * time.Minute)
					for _, l := range laptops {
						write(l, at)
					}
					b.StartTimer()
					f.catchUp(b)
				}
			}
		})
	}
}
