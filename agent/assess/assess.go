// Package assess makes one assessment: it asks the probes that are due, judges
// their facts, and turns the outcome into the next signed statement of the
// device's chain of reports.
//
// The asking and judging run in a short-lived child, the chain in the part
// that stays. Neither touches a disk, the network or a clock: what they need
// comes in, and what they conclude goes out.
package assess

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/policy/baseline"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Request is what the part that stays asks of the child that assesses.
type Request struct {
	Now    time.Time `json:"now"`
	Policy []byte    `json:"policy,omitempty"` // compiled; none: the baseline built into the agent
	// PolicyBefore is the compiled policy that judged last, if it is another:
	// it judges where this program cannot read Policy.
	PolicyBefore []byte            `json:"policyBefore,omitempty"`
	Assignment   policy.Assignment `json:"assignment"`
	MediaKey     []byte            `json:"mediaKey,omitempty"`
	// Due names the sections to ask for anew; the others are taken from Before.
	Due []string `json:"due"`
	// Before holds the other sections as they were last read. What is in
	// neither is asked for, too.
	Before []wire.Body `json:"before,omitempty"`
	// Memory is what the last assessment remembered: see probe.Memory.
	Memory json.RawMessage `json:"memory,omitempty"`
	// Folders is what the child that walks people's folders answered, or why
	// it did not.
	Folders       []wire.Body     `json:"folders,omitempty"`
	FoldersAbsent posture.Absence `json:"foldersAbsent"`
	// MediaLog is the log of media as the last assessment left it. EventsAfter
	// is the number of the last event that an earlier report carried,
	// EventsDone of the last that the collector has.
	MediaLog    json.RawMessage `json:"mediaLog,omitempty"`
	EventsAfter uint64          `json:"eventsAfter"`
	EventsDone  uint64          `json:"eventsDone"`
	// EventsTaken is the highest number that any report gave to an event.
	EventsTaken uint64 `json:"eventsTaken"`
	// Began says that this is the agent's first look since it started.
	Began bool `json:"began"`
	// Agent is what happened to the agent itself; nil if nobody kept count.
	Agent *Agent `json:"agent,omitempty"`
}

// Agent is what happened to the agent itself, as far as it can tell. A zero time
// is never.
type Agent struct {
	Program      string    `json:"program,omitempty"`  // SHA-256 of its program; "" if it could not be read
	Unbooted     bool      `json:"unbooted,omitempty"` // the system does not say which boot this is, so that it cannot tell when it did not run
	ChangedAt    time.Time `json:"changedAt,omitzero"`
	StoppedFrom  time.Time `json:"stoppedFrom,omitzero"`
	StoppedUntil time.Time `json:"stoppedUntil,omitzero"`
	StateLostAt  time.Time `json:"stateLostAt,omitzero"`
	// Key is where the key is kept by which the device is known; "" if nobody said.
	Key posture.KeyPlace `json:"key,omitempty"`
}

// into adds it to what is known of the device.
func (a *Agent) into(device *posture.System) {
	device.AgentProgram = posture.Read(a.Program)
	device.AgentChangedAt = posture.Read(a.ChangedAt)
	if a.Program == "" {
		device.AgentProgram = posture.Reading[string]{Absent: posture.Unreadable}
		device.AgentChangedAt = orUnreadable(a.ChangedAt)
	}
	device.AgentStoppedFrom, device.AgentStoppedUntil = posture.Read(a.StoppedFrom), posture.Read(a.StoppedUntil)
	if a.Unbooted {
		device.AgentStoppedFrom, device.AgentStoppedUntil = orUnreadable(a.StoppedFrom), orUnreadable(a.StoppedUntil)
	}
	device.AgentStateLostAt = posture.Read(a.StateLostAt)
	if a.Key != "" {
		device.AgentKey = posture.Read(a.Key)
	}
}

// orUnreadable is when something happened that can be told of no more: what is known
// of before, or else nothing; it is never known that it did not.
func orUnreadable(t time.Time) posture.Reading[time.Time] {
	if t.IsZero() {
		return posture.Reading[time.Time]{Absent: posture.Unreadable}
	}
	return posture.Read(t)
}

// Outcome is the child's answer.
type Outcome struct {
	Bodies    []wire.Body     `json:"bodies"` // every section of the device's state, findings included
	Memory    json.RawMessage `json:"memory,omitempty"`
	MediaLog  json.RawMessage `json:"mediaLog,omitempty"`
	LastEvent uint64          `json:"lastEvent"` // number of the last event in the log
	Policy    uint64          `json:"policy"`    // number of the policy that judged
	At        time.Time       `json:"at"`        // when: the request's Now
	// PolicyTrouble says why another policy judged than the one in force;
	// MediaTrouble why the log of media begins anew. Both are empty as a rule.
	PolicyTrouble string `json:"policyTrouble,omitempty"`
	MediaTrouble  string `json:"mediaTrouble,omitempty"`
	// Self is the same in words for whoever sits at the device.
	Self SelfView `json:"self"`
}

// Assess asks, judges and encodes.
func Assess(ctx context.Context, sys system.Reader, r Request) (Outcome, error) {
	report, outcome, err := assess(ctx, sys, r)
	if err != nil {
		return Outcome{}, err
	}
	findings := slices.Clone(report.Findings)
	for i := range findings {
		findings[i].FactAt = time.Time{} // travels as the sections' read times, so that an unchanged finding has an unchanged body
	}
	if outcome.Bodies, err = wire.EncodeFacts(report.Facts, findings); err != nil {
		return Outcome{}, fmt.Errorf("encode the assessment: %w", err)
	}
	for i := range outcome.Bodies {
		if outcome.Bodies[i].Name == wire.Findings {
			outcome.Bodies[i].ReadAt = r.Now
		}
	}
	return outcome, nil
}

func assess(ctx context.Context, sys system.Reader, r Request) (posture.Report, Outcome, error) {
	rules, trouble, err := rulesFor(r)
	if err != nil {
		return posture.Report{}, Outcome{}, err
	}
	facts, unread := decode(r.Before)
	r.Due = append(slices.Clone(r.Due), append(unread, without(r.Before)...)...)
	if probe.Outdated(sys.Platform(), facts.Programs, r.Assignment.PersonalUse) {
		r.Due = append(r.Due, wire.Programs)
	}
	due := slices.DeleteFunc(probe.All(), func(p probe.Probe) bool { return p.Folders || !slices.Contains(r.Due, p.Section) })
	question := probe.Question{Now: r.Now, MediaKey: r.MediaKey, PersonalUse: r.Assignment.PersonalUse, Memory: remembered(r.Memory)}
	merge(&facts, probe.Facts(ctx, sys, question, due), due)
	if r.Agent != nil && len(facts.System.Items) == 1 && slices.Contains(r.Due, wire.System) {
		r.Agent.into(&facts.System.Items[0])
	}
	mergeFolders(&facts, r)
	// An earlier walk may have read names before the device became its user's own
	// too, or before somebody asked for one.
	facts.Executables.Items = probe.Withhold(r.Assignment.PersonalUse, r.Assignment.Reveal).From(facts.Executables.Items)
	outcome := Outcome{Policy: rules.Number, At: r.Now, PolicyTrouble: trouble}
	if outcome.Memory, err = json.Marshal(question.Memory); err != nil {
		return posture.Report{}, Outcome{}, fmt.Errorf("keep what need not be asked again: %w", err)
	}
	if err := foldMedia(&facts, r, &outcome); err != nil {
		return posture.Report{}, Outcome{}, err
	}
	report := posture.Report{MadeAt: r.Now, Policy: outcome.Policy, Facts: facts}
	report.Findings = policy.Evaluate(rules, r.Assignment, facts, r.Now)
	outcome.Self = selfView(rules, r.Assignment, sys.Platform(), report.Findings)
	return report, outcome, nil
}

// rulesFor returns the policy that judges: the one in force, or where this
// program cannot read it, such as one that was made for a newer version, the
// one before, or else the baseline. The report names the one that judged.
func rulesFor(r Request) (rules *policy.Policy, trouble string, err error) {
	candidates := [][]byte{r.Policy, r.PolicyBefore, baseline.School()}
	for _, compiled := range slices.DeleteFunc(candidates, func(c []byte) bool { return len(c) == 0 }) {
		var unread error
		if rules, unread = policy.Decode(compiled); unread == nil {
			return rules, trouble, nil
		}
		if err = unread; trouble == "" {
			trouble = unread.Error()
		}
	}
	return nil, "", fmt.Errorf("load the baseline: %w", err)
}

// remembered reads what the last assessment remembered; nothing if that is
// damaged.
func remembered(data json.RawMessage) *probe.Memory {
	m := new(probe.Memory)
	if len(data) > 0 && json.Unmarshal(data, m) != nil {
		return new(probe.Memory)
	}
	return m
}

// Walk asks the probes that read people's folders. It runs in a child of its
// own, with fewer rights than the one that runs Assess.
func Walk(ctx context.Context, sys system.Reader, q probe.Question) ([]wire.Body, error) {
	walkers := slices.DeleteFunc(probe.All(), func(p probe.Probe) bool { return !p.Folders })
	bodies, err := wire.EncodeFacts(probe.Facts(ctx, sys, q, walkers), nil)
	if err != nil {
		return nil, fmt.Errorf("encode what people's folders hold: %w", err)
	}
	return slices.DeleteFunc(bodies, func(b wire.Body) bool { return b.Name != wire.Executables }), nil
}

// mergeFolders puts what the walk of people's folders found into facts, if one
// was due. A walk that gave no answer, or one that cannot be read, leaves an
// absence and not what an earlier walk found.
func mergeFolders(facts *posture.Facts, r Request) {
	if !slices.Contains(r.Due, wire.Executables) {
		return
	}
	why := r.FoldersAbsent
	walked, unread := decode(r.Folders)
	switch {
	case why != posture.None && why != posture.NotAsked:
	case len(unread) > 0 || walked.Executables.Absent == posture.NotAsked:
		why = posture.Unreadable
	default:
		why = posture.None
	}
	facts.Executables, facts.Scripts = walked.Executables, walked.Scripts
	if why != posture.None {
		facts.Executables = posture.NotFound[posture.Executable]("folders", why)
		facts.Scripts = posture.NotFound[posture.Tally]("folders", why)
	}
	facts.Executables.ReadAt, facts.Scripts.ReadAt = r.Now, r.Now
}

// merge puts the sections that were asked for into facts.
func merge(facts *posture.Facts, asked posture.Facts, due []probe.Probe) {
	for _, p := range due {
		switch p.Section {
		case wire.System:
			facts.System = asked.System
		case wire.Encryption:
			facts.Volumes = asked.Volumes
		case wire.Antivirus:
			facts.Antivirus = asked.Antivirus
		case wire.Media:
			facts.Media = asked.Media
		case wire.Programs:
			facts.Programs = asked.Programs
		case wire.Security:
			facts.Security = asked.Security
		}
	}
}

// decode reads sections, and names those that cannot be read, such as ones that
// another version of this program wrote. Their facts are absent.
func decode(bodies []wire.Body) (facts posture.Facts, unread []string) {
	for _, b := range bodies {
		if b.Name == wire.Findings || b.Name == wire.MediaEvents {
			continue // judged and logged anew each time
		}
		if wire.DecodeSection(b.Name, b.Data, b.ReadAt, &facts, nil) != nil {
			unread = append(unread, b.Name)
		}
	}
	return facts, unread
}

// without names the sections that are not among those read last.
func without(before []wire.Body) []string {
	return slices.DeleteFunc(Sections(), func(name string) bool {
		return slices.ContainsFunc(before, func(b wire.Body) bool { return b.Name == name })
	})
}

// Sections lists the names of all sections that probes fill.
func Sections() []string {
	var names []string
	for _, p := range probe.All() {
		names = append(names, p.Section)
	}
	return names
}

// Every says how often each section is asked for when nothing tells of a change.
func Every() map[string]time.Duration {
	every := map[string]time.Duration{}
	for _, p := range probe.All() {
		every[p.Section] = p.Every
	}
	return every
}
