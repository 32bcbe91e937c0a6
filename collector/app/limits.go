package app

import "github.com/caretaker-school/caretaker/collector/intake"

// Of the file descriptors that the system lets this program have, so many are
// kept for its own files, most of which are the tables of the view, one for each
// megabyte of it; for the pages and the console, and for connections that are just
// being closed; and few laptops are so few that somebody should know.
const (
	ownDescriptors = 1024
	fewLaptops     = 5000
)

// limits returns what laptops together may take where a program may have so
// many file descriptors; 0 is not known. Peers whom nobody knows get an eighth
// twice, so that they never use up what laptops need.
func limits(descriptors int) intake.Limits {
	if descriptors == 0 {
		return intake.Limits{} // as intake has it
	}
	own := min(ownDescriptors, descriptors/4)
	l := intake.Limits{Connections: min(descriptors-own, 120_000)}
	l.HalfOpen, l.Enrolling = max(2, min(l.Connections/8, 2048)), max(2, min(l.Connections/8, 1024))
	return l
}

// limits is also what a running collector goes by, and it says so if that is
// little.
func (c *collector) limits() intake.Limits {
	l := limits(descriptors())
	if l.Connections > 0 && l.Connections < fewLaptops {
		c.log.Warn("the system lets few laptops be connected at once: let the collector have more file descriptors (LimitNOFILE, ulimit -n)", "laptops", l.Connections)
	}
	return l
}
