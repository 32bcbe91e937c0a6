package system

import (
	"math"
	"testing"
	"time"
)

func TestAutomationTime(t *testing.T) {
	for _, c := range []struct {
		days float64
		want string // "" for no time
	}{
		{0, "0001-01-01T00:00:00Z"},
		{1, "1899-12-31T00:00:00Z"},
		{46346.75, "2026-11-20T18:00:00Z"},
		{46346.999999, "2026-11-21T00:00:00Z"}, // rounded to the second
		{-1.25, "1899-12-29T06:00:00Z"},
		{2958465.5, "9999-12-31T12:00:00Z"},
		{2958465.9999999, ""},
		{2958466, ""},
		{-657435, ""},
		{math.NaN(), ""},
		{math.Inf(1), ""},
		{math.Inf(-1), ""},
	} {
		got, ok := automationTime(c.days)
		if ok != (c.want != "") || ok && got.Format(time.RFC3339) != c.want {
			t.Errorf("%v: got %v, %v; want %q", c.days, got, ok, c.want)
		}
	}
}
