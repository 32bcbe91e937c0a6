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
	Now        time.Time         `json:"now"`
	Policy     []byte            `json:"policy,omitempty"` // compiled; none: the baseline built into the agent
	Assignment policy.Assignment `json:"assignment"`
	MediaKey   []byte            `json:"mediaKey,omitempty"`
	// Due names the sections to ask for anew; the others are taken from Before.
	Due []string `json:"due"`
	// Before holds the sections as they were last read.
	Before []wire.Body `json:"before,omitempty"`
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
	// Began says that this is the agent's first look since it started.
	Began bool `json:"began"`
}

// Outcome is the child's answer.
type Outcome struct {
	Bodies    []wire.Body     `json:"bodies"` // every section of the device's state, findings included
	MediaLog  json.RawMessage `json:"mediaLog,omitempty"`
	LastEvent uint64          `json:"lastEvent"` // number of the last event in the log
	Policy    uint64          `json:"policy"`    // number of the policy that judged
	At        time.Time       `json:"at"`        // when: the request's Now
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
		if outcome.Bodies[i].Name == "findings" {
			outcome.Bodies[i].ReadAt = r.Now
		}
	}
	return outcome, nil
}

// Report asks and judges, and returns what Assess would encode.
func Report(ctx context.Context, sys system.Reader, r Request) (posture.Report, error) {
	report, _, err := assess(ctx, sys, r)
	return report, err
}

func assess(ctx context.Context, sys system.Reader, r Request) (posture.Report, Outcome, error) {
	compiled := r.Policy
	if len(compiled) == 0 {
		compiled = baseline.School()
	}
	rules, err := policy.Load(compiled)
	if err != nil {
		return posture.Report{}, Outcome{}, fmt.Errorf("load the policy: %w", err)
	}
	facts, err := decode(r.Before)
	if err != nil {
		return posture.Report{}, Outcome{}, fmt.Errorf("read the last assessment: %w", err)
	}
	due := slices.DeleteFunc(probe.All(), func(p probe.Probe) bool { return p.Folders || !slices.Contains(r.Due, p.Section) })
	question := probe.Question{Now: r.Now, MediaKey: r.MediaKey, PersonalUse: r.Assignment.PersonalUse}
	merge(&facts, probe.Facts(ctx, sys, question, due), due)
	if err := mergeFolders(&facts, r); err != nil {
		return posture.Report{}, Outcome{}, err
	}
	outcome := Outcome{Policy: rules.Policy().Number, At: r.Now}
	if err := foldMedia(&facts, r, &outcome); err != nil {
		return posture.Report{}, Outcome{}, err
	}
	report := posture.Report{MadeAt: r.Now, Policy: outcome.Policy, Facts: facts}
	report.Findings = rules.Evaluate(r.Assignment, facts, r.Now)
	return report, outcome, nil
}

// Walk asks the probes that read people's folders. It runs in a child of its
// own, with fewer rights than the one that runs Assess.
func Walk(ctx context.Context, sys system.Reader, q probe.Question) ([]wire.Body, error) {
	walkers := slices.DeleteFunc(probe.All(), func(p probe.Probe) bool { return !p.Folders })
	bodies, err := wire.EncodeFacts(probe.Facts(ctx, sys, q, walkers), nil)
	if err != nil {
		return nil, fmt.Errorf("encode what people's folders hold: %w", err)
	}
	return slices.DeleteFunc(bodies, func(b wire.Body) bool { return b.Name != "executables" }), nil
}

func mergeFolders(facts *posture.Facts, r Request) error {
	switch {
	case len(r.Folders) > 0:
		walked, err := decode(r.Folders)
		if err != nil {
			return fmt.Errorf("read what people's folders hold: %w", err)
		}
		facts.Executables, facts.Scripts = walked.Executables, walked.Scripts
	case slices.Contains(r.Due, "executables") && r.FoldersAbsent != posture.None:
		facts.Executables = posture.NotFound[posture.Executable]("folders", r.FoldersAbsent)
		facts.Scripts = posture.NotFound[posture.Tally]("folders", r.FoldersAbsent)
		facts.Executables.ReadAt, facts.Scripts.ReadAt = r.Now, r.Now
	}
	return nil
}

// merge puts the sections that were asked for into facts.
func merge(facts *posture.Facts, asked posture.Facts, due []probe.Probe) {
	for _, p := range due {
		switch p.Section {
		case "system":
			facts.System = asked.System
		case "encryption":
			facts.Volumes = asked.Volumes
		case "antivirus":
			facts.Antivirus = asked.Antivirus
		case "media":
			facts.Media = asked.Media
		case "programs":
			facts.Programs = asked.Programs
		case "security":
			facts.Security = asked.Security
		}
	}
}

func decode(bodies []wire.Body) (posture.Facts, error) {
	var facts posture.Facts
	for _, b := range bodies {
		if b.Name == "findings" || b.Name == "media-events" {
			continue // judged and logged anew each time
		}
		if err := wire.DecodeSection(b.Name, b.Data, b.ReadAt, &facts, nil); err != nil {
			return posture.Facts{}, err
		}
	}
	return facts, nil
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
