package probe

import (
	"strconv"
	"time"
)

// parseCIMTime reads a moment as WMI writes it, such as
// "20261120080627.000000+060": the zone's offset is in minutes. Intervals,
// which look alike, and moments of which a part is left open ("*") are not
// understood.
func parseCIMTime(s string) (time.Time, bool) {
	if len(s) != len("yyyymmddHHMMSS.mmmmmm+UUU") || s[14] != '.' || s[21] != '+' && s[21] != '-' {
		return time.Time{}, false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && i != 14 && i != 21 {
			return time.Time{}, false
		}
	}
	t, err := time.Parse("20060102150405.000000", s[:21])
	offset, errOffset := strconv.Atoi(s[21:])
	if err != nil || errOffset != nil {
		return time.Time{}, false
	}
	return t.Add(-time.Duration(offset) * time.Minute), true
}

// neverSince is the year from which a moment of Windows means something: its
// clocks count from 1601, and a moment that was never set is before that.
const neverSince = 1602
