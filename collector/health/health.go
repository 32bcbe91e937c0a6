// Package health says in words how well a collector is, and what somebody has to
// do something about: its disk, its record, its clock, its certificate.
//
// It asks nothing and nobody itself, and what it was not told it calls not known.
package health

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Report is what is known of how well the collector keeps a school.
type Report struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	// Free is what is free on the disk, in bytes; nil if that is not known.
	Free *uint64 `json:"free,omitempty"`
	// Trouble lists what keeps what laptops report from being recorded or shown.
	Trouble   []string  `json:"trouble"`
	Recording bool      `json:"recording"`
	Entries   uint64    `json:"entries"`         // of the record
	Shown     uint64    `json:"shown"`           // of them are on the pages
	Behind    time.Time `json:"behind,omitzero"` // since when the pages lack something; zero: they do not
	Verified  *Check    `json:"verified,omitempty"`
	Given     *Given    `json:"given,omitempty"`  // nil: no checkpoint is given away
	Backup    *Backup   `json:"backup,omitempty"` // the last; nil: none was ever taken
	Restored  *Restored `json:"restored,omitempty"`
	Ways      int       `json:"ways"`    // on which people are told of what happens
	Failing   int       `json:"failing"` // of them on which nothing arrives
	ClockBack time.Time `json:"clockBack,omitzero"`
	// Certificate is that of the pages; nil if they are served to this machine alone.
	Certificate *Certificate `json:"certificate,omitempty"`
	Connected   int          `json:"connected"` // laptops, now
}

// Check is when the whole record was last verified.
type Check struct {
	At      time.Time `json:"at"`
	Entries uint64    `json:"entries"`
	Trouble string    `json:"trouble,omitempty"` // "": it was good
}

// Given is where checkpoints are given away, and the day of the last.
type Given struct {
	To   string    `json:"to"`
	Last time.Time `json:"last,omitzero"` // zero: none was yet
}

// Backup is when a backup was taken, and how large it is.
type Backup struct {
	At    time.Time `json:"at"`
	Bytes int64     `json:"bytes"`
}

// Restored is when the record was last put back from a backup, and of when that
// was.
type Restored struct {
	At     time.Time `json:"at"`
	Backup time.Time `json:"backup"`
}

// Certificate is the certificate of the pages.
type Certificate struct {
	Ends    time.Time `json:"ends,omitzero"`
	Trouble string    `json:"trouble,omitempty"`
}

// State is how well one thing is. Zero claims nothing.
type State uint8

// The states.
const (
	Unknown State = iota
	Well
	Amiss // somebody has to do something
)

var stateNames = [...]string{"not known", "in order", "needs somebody"}

// String returns the state in words.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return stateNames[Unknown]
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What is no state that String
// produces is not known.
func (s *State) UnmarshalText(text []byte) error {
	*s = State(max(0, slices.Index(stateNames[:], string(text))))
	return nil
}

// Line is one thing in words.
type Line struct {
	Title string `json:"title"`
	State State  `json:"state"`
	Words string `json:"words"`
	// At is the moment that Words speak of, if they speak of one: it comes after
	// them.
	At time.Time `json:"at,omitzero"`
}

// Bounds beyond which somebody has to look.
const (
	lowDisk     = 2 << 30 // bytes
	longBehind  = 10 * time.Minute
	longUnseen  = 100 * 24 * time.Hour // since the record was verified: about a term
	longUngiven = 3 * 24 * time.Hour
	longUnsaved = 8 * 24 * time.Hour // since the last backup: about a week
	soonEnds    = 21 * 24 * time.Hour
)

// Lines says how each thing is.
func (r Report) Lines() []Line {
	lines := []Line{r.recording(), r.pages(), r.disk(), r.verified(), r.backup()}
	if r.Restored != nil {
		lines = append(lines, Line{
			Title: "Restored from a backup", State: Well, At: r.Restored.At,
			Words: "one of " + r.Restored.Backup.UTC().Format("2 January 2006 15:04 MST") + "; what was recorded after it is lost. That was done",
		})
	}
	return append(lines, r.given(), r.notices(), r.clock(), r.certificate(),
		Line{Title: "Laptops", State: Well, Words: counted(r.Connected, "laptop is", "laptops are") + " connected now"},
		Line{Title: "Version", State: Well, Words: "Caretaker " + r.Version},
	)
}

// Amiss counts the lines of which somebody has to do something.
func (r Report) Amiss() (n int) {
	for _, l := range r.Lines() {
		if l.State == Amiss {
			n++
		}
	}
	return n
}

func (r Report) recording() Line {
	l := Line{Title: "Recording", State: Well, Words: "what laptops report is recorded: " + counted(int(r.Entries), "entry", "entries") + " so far"}
	if !r.Recording {
		l.State, l.Words = Amiss, "nothing is recorded; laptops keep their reports and send them again"
	}
	for _, t := range r.Trouble {
		l.State, l.Words = Amiss, l.Words+"; "+t
	}
	return l
}

func (r Report) pages() Line {
	switch {
	case r.Behind.IsZero():
		return Line{Title: "These pages", State: Well, Words: "they show all that is recorded"}
	case r.At.Sub(r.Behind) < longBehind:
		return Line{Title: "These pages", State: Well, Words: counted(int(r.Entries-r.Shown), "entry is", "entries are") + " being worked in"}
	}
	return Line{Title: "These pages", State: Amiss, Words: counted(int(r.Entries-r.Shown), "entry waits", "entries wait") + " to be worked in: they show what was recorded until", At: r.Behind}
}

func (r Report) disk() Line {
	const title = "Disk"
	if r.Free == nil {
		return Line{Title: title, Words: "how much is free cannot be asked on this system"}
	}
	words := strconv.FormatFloat(float64(*r.Free)/1e9, 'f', 1, 64) + " GB are free"
	if *r.Free < lowDisk {
		return Line{Title: title, State: Amiss, Words: words + ": make room before nothing can be recorded"}
	}
	return Line{Title: title, State: Well, Words: words}
}

func (r Report) verified() Line {
	const title, how = "The record is whole", "caretaker-collector ledger verify checks every entry, signature and hash"
	switch v := r.Verified; {
	case v == nil:
		return Line{Title: title, Words: "it was never verified: " + how}
	case v.Trouble != "":
		return Line{Title: title, State: Amiss, Words: "it is not: " + v.Trouble + "; seen", At: v.At}
	case r.At.Sub(v.At) > longUnseen:
		return Line{Title: title, Words: "nobody has looked for more than a term: " + how + "; last done", At: v.At}
	default:
		return Line{Title: title, State: Well, Words: "verified with its first " + counted(int(v.Entries), "entry", "entries"), At: v.At}
	}
}

func (r Report) backup() Line {
	const title = "Backup"
	switch b := r.Backup; {
	case b == nil:
		return Line{Title: title, State: Amiss, Words: "none was ever taken: caretaker-collector backup FILE takes one while everything goes on"}
	case r.At.Sub(b.At) > longUnsaved:
		return Line{Title: title, State: Amiss, Words: "none was taken for more than a week; the last", At: b.At}
	default:
		return Line{Title: title, State: Well, Words: strconv.FormatFloat(float64(b.Bytes)/1e6, 'f', 1, 64) + " MB, the last", At: b.At}
	}
}

func (r Report) given() Line {
	const title = "Checkpoints given away"
	switch g := r.Given; {
	case g == nil:
		return Line{Title: title, Words: "none is: with serve --checkpoints FOLDER one a day is written, and whoever keeps them elsewhere can prove that nothing was rewritten"}
	case g.Last.IsZero():
		return Line{Title: title, State: Amiss, Words: "none was written into " + g.To + " yet"}
	case r.At.Sub(g.Last) > longUngiven:
		return Line{Title: title, State: Amiss, Words: "the last in " + g.To + " is of", At: g.Last}
	default:
		return Line{Title: title, State: Well, Words: "into " + g.To + ", the last", At: g.Last}
	}
}

func (r Report) notices() Line {
	const title = "Notices"
	switch {
	case r.Ways == 0:
		return Line{Title: title, State: Amiss, Words: "nobody is told of breaches"}
	case r.Failing > 0:
		return Line{Title: title, State: Amiss, Words: fmt.Sprintf("they do not arrive on %d of %s", r.Failing, counted(r.Ways, "way", "ways"))}
	}
	return Line{Title: title, State: Well, Words: "they arrive, on " + counted(r.Ways, "way", "ways")}
}

func (r Report) clock() Line {
	if !r.ClockBack.IsZero() {
		return Line{Title: "Clock", State: Amiss, Words: "it was set back: the record has an entry of", At: r.ClockBack}
	}
	return Line{Title: "Clock", State: Well, Words: "it agrees with the record"}
}

func (r Report) certificate() Line {
	const title = "Certificate of these pages"
	switch c := r.Certificate; {
	case c == nil:
		return Line{Title: title, State: Well, Words: "none is needed: they are served to the collector’s own machine alone"}
	case c.Trouble != "":
		return Line{Title: title, State: Amiss, Words: c.Trouble + "; it ends", At: c.Ends}
	case c.Ends.IsZero():
		return Line{Title: title, Words: "when it ends is not known"}
	case c.Ends.Sub(r.At) < soonEnds:
		return Line{Title: title, State: Amiss, Words: "it ends soon:", At: c.Ends}
	default:
		return Line{Title: title, State: Well, Words: "it is good until", At: c.Ends}
	}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
