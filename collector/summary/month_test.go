package summary

import (
	"strings"
	"testing"
	"time"
)

func october() MonthCounts {
	at := time.Date(2026, 10, 30, 23, 59, 59, 0, time.UTC)
	day := func(at time.Time, notMet int) *MonthDay {
		return &MonthDay{
			At: at, Devices: 40, Silent: 2, Encrypted: 36, Open: 1, Unproven: 3, Listed: 12,
			Rules: []RuleCount{
				{Rule: "ENC-01", Title: "System disk encrypted", Met: 36, NotMet: 1, NotProven: 3}, {Rule: "CFG-01", Title: "Firewall is on", Met: 38 - notMet, NotMet: notMet, NotProven: 2},
			},
		}
	}
	return MonthCounts{School: "Hollybank Primary School", Month: at, Heard: 17, Last: day(at, 4), Before: day(at.AddDate(0, -1, 0), 1)}
}

// TestMonth sums up a month beside the one before, and asks for what leaders can
// decide, what grew first.
func TestMonth(t *testing.T) {
	var b strings.Builder
	m := MakeMonth(october())
	if err := PrintMonth(&b, m); err != nil {
		t.Fatal(err)
	}
	want := `Hollybank Primary School
Summary of October 2026

What was known at the end of 30 October, the last of 17 days on which anything was heard.

Devices
  enrolled             40  as before
  silent for too long  2   as before

Encryption
  Proven encrypted                                     36  as before
  Not encrypted, or not guarded                        1   as before
  Not proven                                           3   as before
  No agent, and encrypted by a list                    12  as before
  No agent, and not encrypted or not proven by a list  0   as before

Rules                           met  not met  not proven  exempt  not met, since the month before
  ENC-01 System disk encrypted  36   1        3           0       as before
  CFG-01 Firewall is on         34   4        2           0       3 more

To decide
  Of 1 device it is known that whoever holds it can read it: decide whether it stays in use until its disk is encrypted.
  Have 2 devices found and switched on, or say that they are out of use: nothing is proven of what is silent.
  Firewall is on (CFG-01): 4 devices do not meet it, 3 more than a month before. Decide who puts it right, and by when.
  System disk encrypted (ENC-01): 1 device does not meet it, as many as a month before. Decide who puts it right, and by when.

What this cannot say
  What a device was like after it was last heard from: that is not proven, which is neither met nor not met.
  Anything about devices that are not enrolled, but what a list of what manages them says of their encryption.
`
	if b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}

// TestASilentMonth: a month in which nothing was heard has no count at all.
func TestASilentMonth(t *testing.T) {
	c := october()
	c.Last, c.Heard = nil, 0
	m := MakeMonth(c)
	var b strings.Builder
	if err := PrintMonth(&b, m); err != nil || len(m.Rules) > 0 || len(m.Disks) > 0 || !m.At.IsZero() {
		t.Errorf("got %+v, %v", m, err)
	}
	if !strings.Contains(b.String(), "nothing is known of it") || strings.Contains(b.String(), "enrolled  ") {
		t.Errorf("got:\n%s", b.String())
	}
}

// TestAFirstMonth compares itself with nothing.
func TestAFirstMonth(t *testing.T) {
	c := october()
	c.Before = nil
	m := MakeMonth(c)
	if m.Devices.Known || m.Rules[0].NotMet.Since() != "not known before" || !m.Before.IsZero() {
		t.Errorf("got %+v", m)
	}
}
