package policy

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	p "github.com/caretaker-school/caretaker/shared/posture"
)

func readDefinitionsAt(x *p.Antivirus) p.Reading[time.Time]     { return x.DefinitionsAt }
func readOSSupportEnds(x *p.Security) p.Reading[time.Time]      { return x.OSSupportEnds }
func readImportantSince(x *p.Security) p.Reading[time.Time]     { return x.ImportantSince }
func readUpdatesCheckedAt(x *p.Security) p.Reading[time.Time]   { return x.UpdatesCheckedAt }
func readUpdatesInstalledAt(x *p.Security) p.Reading[time.Time] { return x.UpdatesInstalledAt }
func readEncryptionAt(x *Coverage) p.Reading[time.Time]         { return x.EncryptionAt }
func readEndsAt(x *Allocation) p.Reading[time.Time]             { return x.EndsAt }

// context is what the conditions of one rule can see: the facts, how old they
// may be, the assignment and the time.
type context struct {
	facts      *p.Facts // items in the order of their keys
	school     *SchoolFacts
	assignment Assignment
	now        time.Time
	maxAge     time.Duration
}

// clockTolerance is how far in the future a fact may have been read before the
// clock that says so is not believed.
const clockTolerance = 5 * time.Minute

// trust returns why an answer is not to be used, or nil.
func (c *context) trust(why p.Absence, readAt time.Time) error {
	switch {
	case why != p.None:
		return absent(why)
	case readAt.After(c.now.Add(clockTolerance)):
		return errClock
	case c.maxAge > 0 && c.now.Sub(readAt) > c.maxAge:
		return errStale
	}
	return nil
}

// answerList returns the items of an answer as conditions see them: if it is
// not to be used, one item of which nothing is known, and if it has gaps, one
// such item more.
func answerList[T any](c *context, of *kind, a p.Answer[T]) *list {
	if why := c.trust(a.Absent, a.ReadAt); why != nil {
		return &list{items: []*object{{kind: of, why: why}}, gaps: true}
	}
	l := &list{items: wrap(of, a.Items, c.now)}
	if len(a.Gaps) > 0 {
		l.gaps = true
		l.items = append(l.items, &object{kind: of, why: errIncomplete})
	}
	return l
}

// answerOne returns the one item of an answer. An answer that promises an item
// and holds none, or leaves part of it out, is unreadable.
func answerOne[T any](c *context, of *kind, a p.Answer[T]) *object {
	if why := c.trust(a.Absent, a.ReadAt); why != nil {
		return &object{kind: of, why: why}
	}
	if len(a.Items) != 1 {
		return &object{kind: of, why: absent(p.Unreadable)}
	}
	return &object{kind: of, item: &a.Items[0], now: c.now}
}

// listField is a field of facts that holds the items of an answer.
func listField[T any](name string, of *kind, most int, get func(*context) p.Answer[T]) *field {
	return &field{name: name, typ: types.NewListType(of.typ), of: of, most: most, get: func(item any) ref.Val {
		c := item.(*context)
		a := get(c)
		if why := c.trust(a.Absent, a.ReadAt); why != nil {
			return fail(why)
		}
		return answerList(c, of, a)
	}}
}

func oneField[T any](name string, of *kind, get func(*context) p.Answer[T]) *field {
	return &field{name: name, typ: of.typ, of: of, get: func(item any) ref.Val {
		c := item.(*context)
		return answerOne(c, of, get(c))
	}}
}

func factsKind(v *vocabulary) *kind {
	return newKind("Facts",
		oneField("system", v.system, func(c *context) p.Answer[p.System] { return c.facts.System }),
		listField("volumes", v.volume, mostVolumes, func(c *context) p.Answer[p.Volume] { return c.facts.Volumes }),
		listField("antivirus", v.antivirus, mostAntivirus, func(c *context) p.Answer[p.Antivirus] { return c.facts.Antivirus }),
		listField("media", v.medium, mostMedia, func(c *context) p.Answer[p.Medium] { return c.facts.Media }),
		listField("mediaEvents", v.event, mostEvents, func(c *context) p.Answer[p.MediumEvent] { return c.facts.MediaEvents }),
		listField("programs", v.program, mostPrograms, func(c *context) p.Answer[p.Program] { return c.facts.Programs }),
		listField("executables", v.executable, mostExecutables, func(c *context) p.Answer[p.Executable] { return c.facts.Executables }),
		listField("scripts", v.tally, mostTallies, func(c *context) p.Answer[p.Tally] { return c.facts.Scripts }),
		oneField("security", v.security, func(c *context) p.Answer[p.Security] { return c.facts.Security }),
	)
}

// deviceKind is what conditions know about the device apart from its facts.
// The class and groups are those of the assignment.
func deviceKind(systems *kind) *kind {
	system := func(c *context) *object {
		return answerOne(c, systems, c.facts.System)
	}
	return newKind("Device",
		&field{
			name: "platform", typ: types.StringType, words: words(p.Windows, p.MacOS, p.Linux), most: mostText,
			get: func(item any) ref.Val { return system(item.(*context)).get("platform") },
		},
		&field{
			name: "chassis", typ: types.StringType, words: words(p.Laptop, p.Desktop, p.Server, p.Virtual), most: mostText,
			get: func(item any) ref.Val { return system(item.(*context)).get("chassis") },
		},
		&field{
			name: "ownership", typ: types.StringType,
			words: words(p.SchoolSingleUser, p.SchoolMultiUser, p.Authorised, p.StudentOwned, p.StaffOwned, p.VisitorOwned), most: mostText,
			get: func(item any) ref.Val {
				if class := item.(*context).assignment.Ownership; class != "" {
					return types.String(class)
				}
				return fail(absent(p.NotAsked))
			},
		},
		&field{
			name: "groups", typ: types.NewListType(types.StringType), most: mostGroups,
			get: func(item any) ref.Val {
				return types.NewStringList(types.DefaultTypeAdapter, item.(*context).assignment.Groups)
			},
		},
		&field{
			name: "personalUse", typ: types.BoolType,
			get: func(item any) ref.Val { return types.Bool(item.(*context).assignment.PersonalUse) },
		},
	)
}

// schoolKinds adds the facts that only the collector has.
func (v *vocabulary) schoolKinds() {
	v.contact = newKind("Contact",
		&field{name: "lastAt", typ: types.TimestampType, past: true, get: func(item any) ref.Val { return instant(item.(*Contact).LastAt) }},
		sinceRead("silence", func(x *Contact) p.Reading[time.Duration] { return x.Silence }))
	v.coverage = newKind("Coverage",
		flagRead("encryptionProven", func(x *Coverage) p.Reading[bool] { return x.EncryptionProven }),
		pastRead("encryptionAt", readEncryptionAt))
	v.agent = newKind("Agent",
		durationRead("skew", func(x *Agent) p.Reading[time.Duration] { return x.Skew }),
		numberRead("probeErrors", func(x *Agent) p.Reading[int64] { return x.ProbeErrors }),
		numberRead("disagreements", func(x *Agent) p.Reading[int64] { return x.Disagreements }),
		numberRead("dropped", func(x *Agent) p.Reading[int64] { return x.Dropped }))
	v.escrow = newKind("Escrow",
		flagRead("held", func(x *Escrow) p.Reading[bool] { return x.Held }))
	v.register = newKind("Register",
		numberRead("unknownMedia", func(x *Register) p.Reading[int64] { return x.UnknownMedia }))
	v.licences = newKind("Licences",
		numberRead("over", func(x *Licences) p.Reading[int64] { return x.Over }))
	v.allocation = newKind("Allocation",
		flagRead("held", func(x *Allocation) p.Reading[bool] { return x.Held }),
		flagRead("ends", func(x *Allocation) p.Reading[bool] { return x.Ends }),
		timeRead("endsAt", readEndsAt),
		flagRead("leaver", func(x *Allocation) p.Reading[bool] { return x.Leaver }),
		flagRead("guest", func(x *Allocation) p.Reading[bool] { return x.Guest }),
		numberRead("administrators", func(x *Allocation) p.Reading[int64] { return x.Administrators }))
	v.acceptableUse = newKind("AcceptableUse",
		flagRead("acknowledged", func(x *AcceptableUse) p.Reading[bool] { return x.Acknowledged }))
}
