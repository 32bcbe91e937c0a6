package projection

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
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

// BenchmarkFold folds reports and contacts of 200 laptops from a ledger in
// memory; each report has an antivirus, security and findings section of its own.
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

// usual gives a laptop as many programs as a school's has, of which some lie in
// people's folders, and facts that do not change by themselves.
func usual(l *laptop) {
	l.still = true
	for i := range 400 {
		l.facts.Programs.Items = append(l.facts.Programs.Items, posture.Program{
			Source: "dpkg", Name: fmt.Sprintf("package-%03d", i), Version: "1.2.3-4", Architecture: "amd64", Publisher: "Maintainers of the distribution",
		})
	}
	for i := range 4 {
		l.facts.Executables.Items = append(l.facts.Executables.Items, posture.Executable{
			Location: posture.Downloads, Format: posture.ELF, SHA256: posture.Read(fmt.Sprintf("%064x", i)),
			Product: posture.Read(""), Version: posture.Read(""), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
		})
	}
}

// swap puts a stick in, or pulls it out.
func swap(l *laptop) {
	e := posture.MediumEvent{
		Number: l.sequence + 1, At: term, Action: posture.Attached, Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb",
	}
	if len(l.facts.Media.Items) == 0 {
		l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
	} else {
		l.facts.Media.Items, e.Action = nil, posture.Detached
	}
	l.facts.MediaEvents.Items = []posture.MediumEvent{e}
}

// shelve moves what was appended to a school's shelf to a ledger on disk.
func shelve(tb testing.TB, s *school, disk *ledger.Ledger) {
	tb.Helper()
	var entries []ledger.Entry
	for i := disk.Size(); i < s.ledger.Size(); i++ {
		e := s.ledger.records[i].Envelope
		if e.Kind == proof.KindReport { // the refs as they were signed; who signed is not asked here
			e.Signature = []byte{1}
			st, err := proof.DecodeReportStatement(e.Statement)
			if err != nil {
				tb.Fatal(err)
			}
			e.Sections = slices.DeleteFunc(st.Sections, func(ref proof.SectionRef) bool { return ref.Carried != st.Sequence })
		}
		entries = append(entries, ledger.Entry{Envelope: e, Sections: s.ledger.salted[i]})
	}
	if _, err := disk.Append(tb.Context(), entries...); err != nil {
		tb.Fatal(err)
	}
}

// openLedger makes a ledger on disk and gives a school's projection it to follow.
func openLedger(tb testing.TB, s *school, f fixture) *ledger.Ledger {
	tb.Helper()
	disk, err := ledger.Open(tb.TempDir(), ledger.Options{School: string(s.id)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := disk.Close(); err != nil {
			tb.Error(err)
		}
	})
	f.folders[0].school.Ledger = disk
	return disk
}

// BenchmarkBurst folds what a thousand laptops say all at once, from a ledger on
// disk: in each report a stick came or went, which changes media, media events
// and findings, and the rest is carried from earlier reports.
func BenchmarkBurst(b *testing.B) {
	const devices = 1000
	s := newSchool(b, "hollybank")
	f := open(b, s)
	disk := openLedger(b, s, f)
	var laptops []*laptop
	for i := range devices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		usual(l)
		l.report(b, term, term)
		laptops = append(laptops, l)
	}
	shelve(b, s, disk)
	f.catchUp(b)
	at := term
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%devices == 0 {
			b.StopTimer()
			at = at.Add(time.Minute)
			for _, l := range laptops {
				swap(l)
				l.report(b, at, at)
			}
			shelve(b, s, disk)
			b.StartTimer()
			f.catchUp(b)
		}
	}
}

// BenchmarkContacts folds batches of a hundred contacts, as the door gathers
// them, of a thousand laptops: nothing changed since the last report.
func BenchmarkContacts(b *testing.B) {
	const devices, together = 1000, 100
	s := newSchool(b, "hollybank")
	f := open(b, s)
	disk := openLedger(b, s, f)
	var laptops []*laptop
	for i := range devices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		l.report(b, term, term)
		laptops = append(laptops, l)
	}
	shelve(b, s, disk)
	f.catchUp(b)
	at := term
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%devices == 0 {
			b.StopTimer()
			at = at.Add(time.Hour)
			for batch := range slices.Chunk(laptops, together) {
				var sections []proof.Section
				for _, l := range batch {
					sections = append(sections, l.contactSection(b, at))
				}
				s.ledger.append(s.envelope(proof.KindContacts, "", at), sections...)
			}
			shelve(b, s, disk)
			b.StartTimer()
			f.catchUp(b)
		}
	}
}

// BenchmarkRebuild20k makes the view of 20,000 devices again, each with its
// enrolment, its assignment and two reports, from a ledger on disk.
func BenchmarkRebuild20k(b *testing.B) {
	s := newSchool(b, "hollybank")
	f := open(b, s)
	disk := openLedger(b, s, f)
	for i := range manyDevices {
		at := term.Add(time.Duration(i) * time.Millisecond)
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), at)
		differ(l, i)
		l.report(b, at, at)
		swap(l)
		l.report(b, at.Add(time.Hour), at.Add(time.Hour))
	}
	shelve(b, s, disk)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Rebuild(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(disk.Size())*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkMemory tells what is kept of a device between its reports: what is
// reckoned for it, and what it takes.
func BenchmarkMemory(b *testing.B) {
	const devices = 500
	s := newSchool(b, "hollybank")
	f := with(b, s, 1, 64<<20)
	for i := range devices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		usual(l)
		l.report(b, term, term)
	}
	f.catchUp(b)
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	kept := f.folders[0].memories
	reckoned := float64(kept.size) / devices
	var taken float64
	for b.Loop() {
		with := held()
		kept.clear()
		taken = float64(with-held()) / devices
	}
	b.ReportMetric(reckoned, "reckoned-B/device")
	b.ReportMetric(taken, "B/device")
}
