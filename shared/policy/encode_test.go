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

// FuzzDecode loads whatever decodes and judges by it: nothing may panic, and
// encoding gives the same bytes again.
func FuzzDecode(f *testing.F) {
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

// FuzzCondition judges by a condition of any bytes: nothing may panic, and
// what cannot be evaluated is not proven.
func FuzzCondition(f *testing.F) {
	p, err := policy.Decode(baseline.School())
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range p.Rules {
		f.Add(r.Require)
	}
	f.Fuzz(func(t *testing.T, condition []byte) {
		p := policy.Policy{
			Format: policy.Format, Name: "x", Title: "X", Parameters: p.Parameters,
			Rules: []policy.Rule{{
				ID: "X-1", Title: "X", Side: policy.OnDevice, For: "device", Require: condition, None: posture.NotApplicable,
			}},
		}
		l, err := policy.Plan(&p)
		if err != nil {
			return
		}
		for _, found := range l.Evaluate(policy.Assignment{}, posture.Facts{}, time.Unix(0, 0)) {
			if found.Reason == "evaluation" && found.Result != posture.Error {
				t.Errorf("what cannot be evaluated is %s", found.Result)
			}
		}
	})
}
