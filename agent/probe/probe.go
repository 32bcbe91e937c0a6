// Package probe asks a machine for its facts: one file per technology, each
// built and tested on every operating system. A probe interprets what a
// system.Reader reads and answers in the words of package posture.
//
// A probe never touches the machine itself: no files, commands, network or
// clock beyond the Reader and the Question it is given. It never turns what
// could not be read into a "yes" or a "no": that is an Absence or a Gap.
package probe

import (
	"context"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Question is what a probe may need to know beside the machine itself.
type Question struct {
	// Now is when the assessment began, by the device's clock. Every answer
	// is dated with it.
	Now time.Time
	// MediaKey is the school's key for hashing serial numbers, of media and of
	// the computer itself; empty if the device has none.
	MediaKey []byte
	// PersonalUse says that the device is also its user's own, so that names
	// embedded in people's files are withheld.
	PersonalUse bool
	// Reveal names executables, by SHA-256, of which the names are told all the
	// same, because somebody at the school asked for them and that is recorded.
	Reveal []string
	// Investigation says that the device only tells which media are in it: their
	// files are left alone.
	Investigation bool
	// Known is what earlier walks of people's folders found, and is brought up
	// to date by the next; nil if nothing is to be remembered.
	Known *Known
	// Memory holds answers that may be used again, and takes new ones; nil if
	// nothing is to be remembered.
	Memory *Memory
}

// Probe fills one section of the facts.
type Probe struct {
	// Section is the name of the section of a report, such as "encryption".
	Section string
	// Every is how often it is asked when nothing tells of a change.
	Every time.Duration
	// Within is how long it may take.
	Within time.Duration
	// Folders says that it reads people's folders, and so is asked in the
	// child with the weaker rights.
	Folders bool
	// Ask asks and puts the answer into facts. It returns by the deadline and
	// does not panic, whatever the machine answers.
	Ask func(ctx context.Context, sys system.Reader, q Question, facts *posture.Facts)
}

// All returns every probe, in the order in which they are asked.
func All() []Probe {
	return []Probe{
		probe("system", 24*time.Hour, time.Minute,
			func(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.System] {
				return withHardware(ctx, sys, q, System(ctx, sys))
			},
			func(f *posture.Facts) *posture.Answer[posture.System] { return &f.System }),
		probe("encryption", time.Hour, time.Minute,
			func(ctx context.Context, sys system.Reader, _ Question) posture.Answer[posture.Volume] {
				return Volumes(ctx, sys)
			},
			func(f *posture.Facts) *posture.Answer[posture.Volume] { return &f.Volumes }),
		probe("media", time.Hour, time.Minute, Media,
			func(f *posture.Facts) *posture.Answer[posture.Medium] { return &f.Media }),
		probe("antivirus", time.Hour, 2*time.Minute,
			func(ctx context.Context, sys system.Reader, _ Question) posture.Answer[posture.Antivirus] {
				return AntivirusProducts(ctx, sys)
			},
			func(f *posture.Facts) *posture.Answer[posture.Antivirus] { return &f.Antivirus }),
		probe("programs", 6*time.Hour, 2*time.Minute, Programs,
			func(f *posture.Facts) *posture.Answer[posture.Program] { return &f.Programs }),
		// What waits of Windows' updates may take six minutes of it (system.WindowsUpdateList).
		probe("security", time.Hour, 7*time.Minute,
			func(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Security] {
				return SecurityFacts(ctx, sys, q)
			},
			func(f *posture.Facts) *posture.Answer[posture.Security] { return &f.Security }),
		{Section: "executables", Every: 50 * time.Minute, Within: walkLimits.Time + time.Minute, Folders: true, Ask: askExecutables},
	}
}

// Facts asks the probes one after another and returns what they found. The
// facts that none of them asks for stay "not asked".
func Facts(ctx context.Context, sys system.Reader, q Question, probes []Probe) posture.Facts {
	var facts posture.Facts
	if q.Memory != nil {
		sys = remembering{sys, q.Memory, q.Now}
	}
	for _, p := range probes {
		p.Ask(ctx, sys, q, &facts)
	}
	return facts
}

// probe makes a Probe of a function that gives one answer. A panic in it, such
// as an index out of range on an answer nobody foresaw, becomes an Unreadable
// answer to this one question.
func probe[T any](
	section string, every, within time.Duration,
	ask func(context.Context, system.Reader, Question) posture.Answer[T],
	place func(*posture.Facts) *posture.Answer[T],
) Probe {
	return Probe{Section: section, Every: every, Within: within, Ask: func(
		ctx context.Context, sys system.Reader, q Question, facts *posture.Facts,
	) {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		answer := posture.NotFound[T]("probe", posture.Unreadable)
		defer func() {
			_ = recover() // the answer set above stands, and says Unreadable
			answer.ReadAt = q.Now
			*place(facts) = answer
		}()
		answer = ask(ctx, sys, q)
	}}
}
