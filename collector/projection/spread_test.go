package projection

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// BenchmarkSpread20k asks about 20,000 devices that differ from each other: in
// which of five rules they meet, and in when they were last heard from, over
// two hours. All were silent for a summer before, so that each has a past. Then
// it asks at the worst moments, when hundreds are just now turning stale.
func BenchmarkSpread20k(b *testing.B) {
	s := newSchool(b, "hollybank")
	back := term.Add(42 * 24 * hour)
	var laptops []*laptop
	for i := range manyDevices {
		at := term.Add(time.Duration(i) * 360 * time.Millisecond)
		l := s.enrol(b, fmt.Sprintf("hb-lt-%05d", i), at)
		differ(l, i)
		l.report(b, at, at)
		laptops = append(laptops, l)
	}
	for i, l := range laptops {
		at := back.Add(time.Duration(i*7919%manyDevices) * 360 * time.Millisecond)
		l.report(b, at, at)
	}
	f := open(b, s)
	f.catchUp(b)
	for _, moment := range []struct {
		name  string
		after time.Duration
	}{{"day", 2 * hour}, {"turning", 25*hour + 5*time.Minute}, {"weekend", 65 * hour}, {"summer", 42 * 24 * hour}} {
		now := back.Add(moment.after)
		ask := func(name string, question func() error) {
			b.Run(moment.name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if err := question(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		ctx := context.Background()
		ask("overview", func() error { _, err := f.q.Overview(ctx, s.id, now); return err })
		ask("breaches", func() error { _, err := f.q.BreachGroups(ctx, s.id, view.BreachQuery{}, now); return err })
		ask("breaches/none", func() error {
			_, err := f.q.BreachGroups(ctx, s.id, view.BreachQuery{Rule: "LIF-01", Severities: []posture.Severity{posture.Info}}, now)
			return err
		})
		ask("devices/not-met", func() error {
			_, err := f.q.Devices(ctx, s.id, view.DeviceQuery{Rule: "CFG-01", Standing: view.NotMet}, now)
			return err
		})
		ask("devices/none", func() error {
			_, err := f.q.Devices(ctx, s.id, view.DeviceQuery{Rule: "PAT-01", Standing: view.Exempt}, now)
			return err
		})
	}
}

// differ makes the nth laptop one of 32 kinds.
func differ(l *laptop, n int) {
	security := &l.facts.Security.Items[0]
	security.Firewall = posture.Read(n&1 == 0)
	security.ScreenLock = posture.Read(n&2 == 0)
	security.DailyUserAdmin = posture.Read(n&4 != 0)
	if n&8 != 0 {
		security.SecureBoot, security.AutoRun = posture.Unread[bool](posture.Denied), posture.Unread[bool](posture.Denied)
	}
	if n&16 != 0 {
		l.facts.Volumes.Items = []posture.Volume{volume(false)}
	}
}
