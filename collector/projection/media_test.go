package projection

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const otherSerial = "00000000000000000000000000000000000000000000000000000000000000bb"

// registeredMedia makes a policy that wants media to be registered.
func registeredMedia(p *policy.Policy) {
	p.Parameters = slices.Clone(p.Parameters)
	for i, one := range p.Parameters {
		if one.Name == "media" {
			p.Parameters[i].Text = "registered"
		}
	}
}

// issue registers a medium.
func issue(number string, serials ...string) register.Change {
	return register.Change{What: register.RegisterMedium, Tag: number, Issue: &register.Issue{Role: "Year 4 class teacher", Serials: serials}}
}

func drawMedium(t *rapid.T) register.Change {
	number := rapid.SampledFrom([]string{"M-1", "m-1", "M-2"}).Draw(t, "number")
	switch rapid.IntRange(0, 3).Draw(t, "medium") {
	case 0:
		return register.Change{What: register.EraseMedium, Tag: number, Method: "overwritten"}
	case 1:
		return register.Change{What: register.WithdrawMedium, Tag: number, Method: "lost"}
	}
	return issue(number, rapid.SampledFrom([][]string{{serial}, {otherSerial}, {serial, otherSerial}}).Draw(t, "serials")...)
}

// TestARegisteredStickIsKnown: where the policy wants media to be registered, a
// stick in a laptop fails until it is, without a word from the laptop.
func TestARegisteredStickIsKnown(t *testing.T) {
	s := newSchool(t, "hollybank")
	s.publish(t, term, registeredMedia)
	l := s.enrol(t, "hb-lt-014", term)
	l.policy, l.number = s.policy, s.number
	l.facts.Media.Items = []posture.Medium{stick(serial, posture.Encrypted)}
	l.report(t, term.Add(hour), term.Add(hour))
	f := open(t, s)
	want := func(at time.Duration, want view.Standing) {
		t.Helper()
		if got := standing(t, f.device(t, s, "hb-lt-014", term.Add(at)), "USB-02"); got.Standing != want {
			t.Errorf("after %s USB-02 is %s, want %s: %s", at, got.Standing, want, got.Message)
		}
	}
	want(2*hour, view.NotMet)
	s.keep(t, term.Add(3*hour), "technician", "", issue("M-031", serial))
	f.catchUp(t)
	want(4*hour, view.Met)
	m, err := f.q.Medium(t.Context(), s.id, "m-031", term.Add(4*hour))
	if err != nil || m.Number != "M-031" || len(m.Seen) != 1 || m.Seen[0].Hostname != "hb-lt-014" || m.Seen[0].Times != 1 || m.Encryption != posture.Encrypted {
		t.Errorf("M-031 is %+v, %v", m, err)
	}
	// The same stick is not two media.
	s.keep(t, term.Add(5*hour), "technician", "", issue("M-032", serial))
	f.catchUp(t)
	if _, err := f.q.Medium(t.Context(), s.id, "M-032", term.Add(6*hour)); err == nil {
		t.Error("one stick was registered as two")
	}
	s.keep(t, term.Add(7*hour), "technician", "", register.Change{What: register.WithdrawMedium, Tag: "M-031", Method: "reported lost"})
	f.catchUp(t)
	want(8*hour, view.NotMet)
	// A medium that tells no number is not known to be registered.
	l.facts.Media.Items[0].Serial = posture.Unread[string](posture.Unsupported)
	l.report(t, term.Add(9*hour), term.Add(9*hour))
	f.catchUp(t)
	want(10*hour, view.NotProven)
	// Nor is one of which nobody asked it, alone or after another.
	l.facts.Media.Items[0].Serial = posture.Unread[string](posture.NotAsked)
	l.report(t, term.Add(10*hour+hour/2), term.Add(10*hour+hour/2))
	f.catchUp(t)
	want(10*hour+hour/2, view.NotProven)
	l.facts.Media = posture.NotFound[posture.Medium]("sysfs", posture.Denied)
	l.report(t, term.Add(11*hour), term.Add(11*hour))
	f.catchUp(t)
	want(12*hour, view.NotProven)
}

// TestAFoundStickIsLookedUp asks of sticks that were plugged into the machine
// for investigations what the school knows of them.
func TestAFoundStickIsLookedUp(t *testing.T) {
	s := newSchool(t, "hollybank")
	l, tagged := s.enrol(t, "hb-lt-022", term), s.enrol(t, "hb-pc-001", term)
	for i := range 3 {
		at := term.Add(time.Duration(i) * 24 * hour)
		l.facts.MediaEvents.Items = []posture.MediumEvent{{
			Number: uint64(i + 1), At: at, Action: posture.Attached, Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb",
		}}
		l.facts.Media.Items = []posture.Medium{stick(serial, posture.Unencrypted)}
		l.report(t, at, at)
	}
	s.keep(t, term, "technician", "", listed("HB-PC-001", tagged.id, term))
	f := open(t, s)
	now := term.Add(100 * hour)
	find := func(serial string) view.FoundMedia {
		t.Helper()
		f.catchUp(t)
		found, err := f.q.FindMedia(t.Context(), s.id, view.FoundQuery{Serial: serial}, now)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := find(""); len(got.Machines) != 0 || len(got.Found) != 0 {
		t.Errorf("without a machine for it: %+v", got)
	}
	s.keep(t, term, "technician", "", register.Change{What: register.Investigate, Tag: "HB-PC-001", On: true})
	third := strings.Repeat("c", 64)
	for i, number := range []string{serial, otherSerial, third} {
		tagged.facts.MediaEvents.Items = append(tagged.facts.MediaEvents.Items, posture.MediumEvent{
			Number: uint64(i + 1), At: now.Add(time.Duration(i-10) * time.Minute), Action: posture.Attached, Serial: posture.Read(number), Kind: posture.DiskMedium, Bus: "usb",
		})
	}
	s.keep(t, term, "technician", "", issue("M-031", otherSerial))
	tagged.report(t, now, now)
	got := find("")
	if len(got.Machines) != 1 || len(got.Found) != 3 {
		t.Fatalf("found %+v", got)
	}
	never, registered, stranger := got.Found[0], got.Found[1], got.Found[2]
	if never.Match != view.NeverSeen || never.On != "HB-PC-001" || len(never.Seen) != 0 {
		t.Errorf("a stick that nobody has seen: %+v", never)
	}
	if registered.Match != view.IsRegistered || registered.Number != "M-031" || registered.Role != "Year 4 class teacher" {
		t.Errorf("a registered stick: %+v", registered)
	}
	if stranger.Match != view.Unregistered || len(stranger.Seen) != 1 || stranger.Seen[0].Hostname != "hb-lt-022" ||
		stranger.Seen[0].Times != 3 || stranger.Encryption != posture.Unencrypted {
		t.Errorf("a stick of nobody's: %+v", stranger)
	}
	if one := find(serial); len(one.Found) != 1 || one.Found[0].Match != view.Unregistered {
		t.Errorf("asked by its number: %+v", one)
	}
}
