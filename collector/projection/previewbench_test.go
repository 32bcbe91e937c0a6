package projection

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// stocked gives a laptop as many programs as asked for, of some thousands that
// the school's laptops have between them in two versions each, one of which some
// rule may deny.
func stocked(l *laptop, programs int, r *rand.Rand) {
	l.still = true
	l.facts.Programs.Items = nil
	for _, n := range r.Perm(3000)[:programs] {
		l.facts.Programs.Items = append(l.facts.Programs.Items, posture.Program{
			Source: "dpkg", Name: fmt.Sprintf("package-%04d", n), Version: fmt.Sprintf("1.%d.3-4", r.IntN(2)), Architecture: "amd64", Publisher: "Maintainers of the distribution",
		})
	}
	for n := range r.IntN(4) {
		l.facts.Executables.Items = append(l.facts.Executables.Items, posture.Executable{
			Location: posture.Downloads, Format: posture.ELF, SHA256: posture.Read(fmt.Sprintf("%064x", n)),
			Product: posture.Read(""), Version: posture.Read(""), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
		})
	}
	l.facts.Security.Items[0].Firewall = posture.Read(r.IntN(10) > 0)
}

// drafts are what is previewed: one more program is denied, portable ones are only
// recorded and the lock must come sooner; or only programs of a list are allowed,
// and a third of what every laptop has is not on it.
var drafts = map[string]func(*policy.Parameter){
	"deny": func(q *policy.Parameter) {
		switch q.Name {
		case "deniedPrograms":
			q.Texts = append(slices.Clone(q.Texts), "package-0001*")
		case "portablePrograms":
			q.Text = "record"
		case "lockWithin":
			q.Number = int64(4 * time.Minute)
		}
	},
	"allow": func(q *policy.Parameter) {
		switch q.Name {
		case "programs":
			q.Text = "allow"
		case "allowedPrograms":
			q.Texts = []string{"package-0*", "package-1*"}
		}
	},
}

// BenchmarkPreview20k previews policies over 20,000 devices with 500 programs
// each, from a ledger on disk. It tells by how much the heap grew on the way at
// most, and how much processor time one took.
func BenchmarkPreview20k(b *testing.B) {
	const programs, together = 500, 500
	s := newSchool(b, "hollybank")
	f := open(b, s)
	disk := openLedger(b, s, f)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range manyDevices {
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), term)
		stocked(l, programs, r)
		l.report(b, term, term)
		if i%together == together-1 {
			shelve(b, s, disk)
			clear(s.ledger.bodies)
			clear(s.ledger.salted)
			f.catchUp(b)
		}
	}
	for _, name := range []string{"deny", "allow"} {
		b.Run(name, func(b *testing.B) { f.previews(b, s, drafts[name]) })
	}
}

func (f fixture) previews(b *testing.B, s *school, change func(*policy.Parameter)) {
	draft := s.drafted(func(p *policy.Policy) {
		p.Parameters = slices.Clone(p.Parameters)
		for i := range p.Parameters {
			change(&p.Parameters[i])
		}
	})
	var most atomic.Uint64
	measure := func(int, int) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapInuse > most.Load() {
			most.Store(m.HeapInuse)
		}
	}
	runtime.GC()
	measure(0, 0)
	before := most.Swap(0)
	spent := processor(b)
	b.ResetTimer()
	for b.Loop() {
		p, err := f.Preview(b.Context(), s.id, Draft{Policy: draft, Now: term.Add(hour), Progress: measure})
		if err != nil {
			b.Fatal(err)
		}
		if p.Devices != manyDevices || p.Opens < manyDevices {
			b.Fatalf("%d devices, %d open", p.Devices, p.Opens)
		}
	}
	spent(b)
	b.ReportMetric(float64(most.Load()-min(before, most.Load()))/(1<<20), "MB-more")
}
