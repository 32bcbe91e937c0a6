package calendar

import (
	"fmt"
	"time"
)

// Notice is how long before its end a school is told that its calendar ends.
const Notice = 6 * 7 * 24 * time.Hour

// Warning says in a sentence what people should do about the calendar at a
// moment, or nothing: that there is none, that it does not speak of that day,
// or that it ends soon.
func (c *Calendar) Warning(now time.Time) string {
	const runs = "every day counts towards a grace in school days"
	from, to, ok := c.Speaks()
	if !ok {
		return "there is no term calendar, so " + runs + ", holidays included: set one with calendar set"
	}
	today := c.On(now).Date
	switch left := to - today; {
	case today < from:
		return fmt.Sprintf("the term calendar begins on %s, and until then %s: set one that begins earlier", from.Words(), runs)
	case left < 0:
		return fmt.Sprintf("the term calendar ended on %s, so %s since: set the next one", to.Words(), runs)
	case c.On(now).Kind == Unknown:
		return fmt.Sprintf("no term calendar speaks of today, so %s: set one that does", runs)
	case time.Duration(left)*24*time.Hour <= Notice:
		return fmt.Sprintf("the term calendar ends on %s, and after that %s: set the next one", to.Words(), runs)
	}
	return ""
}
