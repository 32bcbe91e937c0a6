package roster

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/body"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// sectionDays is a section of a purge: what the school's days ended with that
// were counted from what is then forgotten. It holds Days, and is kept. Where one
// cannot hold all, others follow that bear a number.
const sectionDays = "days"

// IsDays reports whether a section of that name holds Days.
func IsDays(name string) bool {
	return name == sectionDays || strings.HasPrefix(name, sectionDays+"-")
}

// Days is what some of a school's days ended with, in counts alone.
type Days struct {
	Rules []string `json:"rules"` // identifiers, in the order of Day.Rules
	Days  []Day    `json:"days"`  // the oldest first
}

// Day is what one day ended with.
type Day struct {
	Date    string    `json:"date"` // at the school, such as "2026-11-20"
	At      time.Time `json:"at"`   // its last moment
	Devices int       `json:"devices"`
	Silent  int       `json:"silent"`
	Policy  uint64    `json:"policy"`
	// Rules holds, for each rule, how many devices met it, did not, were not proven
	// to, were exempt, and were none of its; nothing for one that was not in the
	// policy. Order is the order in which the policy had them.
	Rules [][]int `json:"rules"`
	Order []int   `json:"order"`
	// Disks holds how many devices were encrypted, were not, and were not proven to
	// be; and how many were, were not, or perhaps were by a list.
	Disks []int `json:"disks"`
	// Definitions holds how many had definitions of a day, of three, of seven, of
	// thirty, older ones, current ones without a date, outdated ones without a date,
	// no antivirus, and how many said nothing that counts.
	Definitions []int `json:"definitions"`
}

// The numbers of counts that a day has.
const (
	countsOfRule        = 5
	countsOfDisks       = 6
	countsOfDefinitions = 9
)

// MostDays is how many days one section holds at most, and mostDayRules how many
// rules.
const (
	MostDays     = 400
	mostDayRules = 2000
)

var days = body.Of[Days]{What: "what days ended with", Most: 8 << 20}

// Check says what is wrong with the days.
func (d Days) Check() error {
	if len(d.Rules) > mostDayRules || len(d.Days) > MostDays {
		return fmt.Errorf("%d days and %d rules are too many", len(d.Days), len(d.Rules))
	}
	for _, one := range d.Days {
		if err := one.check(len(d.Rules)); err != nil {
			return fmt.Errorf("day %.20q: %w", one.Date, err)
		}
	}
	return nil
}

func (d Day) check(rules int) error {
	if _, err := time.Parse(time.DateOnly, d.Date); err != nil {
		return errors.New("it is no date")
	}
	if d.At.IsZero() || len(d.Rules) != rules || len(d.Order) > rules || len(d.Disks) != countsOfDisks || len(d.Definitions) != countsOfDefinitions {
		return errors.New("a part of it is missing")
	}
	seen := make(map[int]bool, len(d.Order))
	for _, n := range d.Order {
		if n < 0 || n >= rules || len(d.Rules[n]) != countsOfRule || seen[n] {
			return errors.New("it orders rules that it does not count")
		}
		seen[n] = true
	}
	for _, counts := range append([][]int{{d.Devices, d.Silent}, d.Disks, d.Definitions}, d.Rules...) {
		for _, n := range counts {
			if n < 0 {
				return errors.New("it counts less than none")
			}
		}
	}
	return nil
}

// DaysSection returns the section of some days; n is how many of a purge come
// before it.
func DaysSection(d Days, n int) (proof.Section, error) {
	data, err := days.Encode(d)
	if err != nil {
		return proof.Section{}, err
	}
	name := sectionDays
	if n > 0 {
		name += "-" + strconv.Itoa(n+1)
	}
	return RawSection(name, proof.Kept, data)
}

// DecodeDays reads the body of such a section.
func DecodeDays(data []byte) (Days, error) { return days.Decode(data) }
