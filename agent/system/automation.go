package system

import (
	"math"
	"time"
)

// automationTime returns the time that a DATE of Windows' automation stands
// for, to the second: days since 30 December 1899, and the time of day as the
// part behind the point, which counts forwards also in a negative number. None
// (0) is the zero time. It reports false for what is no time.
func automationTime(days float64) (time.Time, bool) {
	const first, last = -657434, 2958466 // the years 100 to 9999
	if math.IsNaN(days) || days < first || days >= last {
		return time.Time{}, false
	}
	if days == 0 {
		return time.Time{}, true
	}
	whole, part := math.Modf(days)
	seconds := time.Duration(math.Round(math.Abs(part)*86400)) * time.Second
	t := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(whole)).Add(seconds)
	return t, t.Year() < 10000
}
