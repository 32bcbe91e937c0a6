package breach

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestScopeCheck(t *testing.T) {
	for name, c := range map[string]struct {
		scope Scope
		good  bool
	}{
		"a breach":               {Scope{Rule: "ENC-01", Of: OneBreach, Device: "d", Kind: "volume", Subject: "a"}, true},
		"a breach of the device": {Scope{Rule: "LIF-01", Of: OneBreach, Device: "d", Kind: "device"}, true},
		"a device":               {Scope{Rule: "ENC-01", Of: OneDevice, Device: "d"}, true},
		"a group":                {Scope{Rule: "ENC-01", Of: OneGroup, Group: "Year 6"}, true},
		"the school":             {Scope{Rule: "ENC-01", Of: WholeSchool}, true},
		"nothing":                {},
		"no rule":                {Scope{Of: WholeSchool}, false},
		"no extent":              {Scope{Rule: "ENC-01"}, false},
		"another extent":         {Scope{Rule: "ENC-01", Of: "trust"}, false},
		"a breach of no device":  {Scope{Rule: "ENC-01", Of: OneBreach, Kind: "volume"}, false},
		"a breach of no kind":    {Scope{Rule: "ENC-01", Of: OneBreach, Device: "d"}, false},
		"no device":              {Scope{Rule: "ENC-01", Of: OneDevice}, false},
		"no group":               {Scope{Rule: "ENC-01", Of: OneGroup}, false},
		"a device and a group":   {Scope{Rule: "ENC-01", Of: OneDevice, Device: "d", Group: "Year 6"}, false},
		"the school and more":    {Scope{Rule: "ENC-01", Of: WholeSchool, Device: "d"}, false},
		"unseen":                 {Scope{Rule: "ENC-01", Of: OneGroup, Group: "Year\u202e6"}, false},
		"too long":               {Scope{Rule: "ENC-01", Of: OneGroup, Group: strings.Repeat("x", mostScope+1)}, false},
	} {
		if err := c.scope.Check(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAScopeCoversWhatItNames: never another rule, never another device, and
// nothing at all if it names nothing.
func TestAScopeCoversWhatItNames(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "b"})
	rapid.Check(t, func(t *rapid.T) {
		s := Scope{
			Rule: word.Draw(t, "rule"), Of: rapid.SampledFrom(append(Extents(), "", "trust")).Draw(t, "of"),
			Device: posture.DeviceID(word.Draw(t, "device")), Kind: word.Draw(t, "kind"), Subject: word.Draw(t, "subject"), Group: word.Draw(t, "group"),
		}
		k := Key{Device: posture.DeviceID(word.Draw(t, "of device")), Rule: word.Draw(t, "of rule"), Kind: word.Draw(t, "of kind"), ID: word.Draw(t, "of subject")}
		groups := rapid.SliceOfN(word, 0, 2).Draw(t, "groups")
		if !s.Covers(k, groups) {
			return
		}
		if s.Rule == "" || s.Rule != k.Rule {
			t.Fatalf("%+v covers %+v", s, k)
		}
		switch s.Of {
		case OneBreach, OneDevice:
			if s.Device != k.Device || s.Of == OneBreach && (s.Kind != k.Kind || s.Subject != k.ID) {
				t.Fatalf("%+v covers %+v", s, k)
			}
		case OneGroup:
			if s.Group == "" {
				t.Fatalf("%+v covers %+v", s, k)
			}
		case WholeSchool:
		default:
			t.Fatalf("%+v covers %+v", s, k)
		}
	})
}
