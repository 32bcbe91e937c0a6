package policy_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
)

func TestDecodeRefuses(t *testing.T) {
	sound := string(baseline.School())
	for name, body := range map[string]string{
		"nothing":          "",
		"another format":   strings.Replace(sound, `"format":1`, `"format":2`, 1),
		"an unknown field": strings.Replace(sound, `"format":1`, `"format":1,"colour":"red"`, 1),
		"a repeated field": strings.Replace(sound, `"format":1`, `"format":1,"format":1`, 1),
		"another case":     strings.Replace(sound, `"format":1`, `"Format":1`, 1),
		"white space":      strings.Replace(sound, `"format":1`, `"format": 1`, 1),
		"something after":  sound + "{}",
		"a repeated rule":  strings.Replace(sound, `"id":"ENC-02"`, `"id":"ENC-01"`, 1),
		"no side":          strings.Replace(sound, `"side":"device"`, `"side":"moon"`, 1),
		"a hidden turn":    strings.Replace(sound, `System disk encrypted`, "System \u202edisk", 1),
		"negative grace":   strings.Replace(sound, `"grace":86400000000000`, `"grace":-1`, 1),
		"too much":         sound + strings.Repeat(" ", policy.MostBytes),
	} {
		if _, err := policy.Decode([]byte(body)); err == nil {
			t.Errorf("a policy with %s was accepted", name)
		}
	}
}

func TestEncodeIsStable(t *testing.T) {
	p, err := policy.Decode(baseline.School())
	if err != nil {
		t.Fatal(err)
	}
	again, err := policy.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, baseline.School()) {
		t.Error("decoding and encoding the baseline changed it")
	}
}

// FuzzDecode loads whatever decodes and judges nothing by it: neither may
// panic, and no rule may come out as met.
func FuzzDecode(f *testing.F) {
	f.Add(baseline.School())
	f.Add([]byte(`{"format":1,"name":"x","number":0,"title":"","rules":[{"id":"X","title":"X","side":"device","for":"device","require":"AA==","none":"pass","severity":"low","classes":null,"met":"","notMet":"","remediation":""}]}` + "\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := policy.Load(body)
		if err != nil {
			return
		}
		again, err := policy.Encode(l.Policy())
		if err != nil || !bytes.Equal(again, body) {
			t.Fatalf("encoding again gave other bytes: %v", err)
		}
		l.Evaluate(policy.Assignment{}, posture.Facts{}, time.Unix(0, 0))
		l.EvaluateSchool(policy.Assignment{}, policy.SchoolFacts{}, time.Unix(0, 0))
	})
}
