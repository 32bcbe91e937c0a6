package web

import (
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// tamperingShows is for how long what happened to an agent stands at the head of its
// laptop's findings: over a term's end and a holiday. After that it is in its facts.
const tamperingShows = 60 * 24 * time.Hour

// tampering says what happened of late to the agent on a laptop that may be
// somebody's doing. What an agent says of itself shows only what was not hidden.
func tampering(f posture.Facts, c clockwork) (words []string) {
	if f.System.Absent != posture.None || len(f.System.Items) != 1 {
		return nil
	}
	s := f.System.Items[0]
	lately := func(r posture.Reading[time.Time]) bool {
		return r.Known() && !r.Value.IsZero() && c.now.Sub(r.Value) < tamperingShows
	}
	if from, until := s.AgentStoppedFrom, s.AgentStoppedUntil; lately(until) && from.Known() {
		words = append(words, "The agent did not run from "+c.moment(from.Value).Text+" to "+c.moment(until.Value).Text+
			", although the laptop was switched on: somebody stopped it, or the laptop waited for the password of its disk.")
	}
	if at := s.AgentChangedAt; lately(at) {
		words = append(words, "On "+c.moment(at.Value).Text+" the agent found its program replaced by another of the same version.")
	}
	if at := s.AgentStateLostAt; lately(at) {
		words = append(words, "On "+c.moment(at.Value).Text+
			" the agent found what it keeps between two reports damaged, or set back to an earlier state, as when a copy of the disk is put back.")
	}
	return words
}

// agentRows are the same as facts, whenever it was, and the agent's program.
func agentRows(s posture.System, c clockwork) []named {
	if s.AgentProgram.Absent == posture.NotAsked && s.AgentStoppedUntil.Absent == posture.NotAsked {
		return nil // an agent that does not tell
	}
	when := func(t time.Time) string {
		if t.IsZero() {
			return "never that it knows"
		}
		return c.moment(t).Text
	}
	rows := []named{
		{"Agent did not run, though switched on, last until", reading(s.AgentStoppedUntil, when)},
		{"Agent's program replaced last", reading(s.AgentChangedAt, when)},
		{"What the agent keeps was damaged or set back last", reading(s.AgentStateLostAt, when)},
		{"Fingerprint of the agent's program", reading(s.AgentProgram, same)},
	}
	if s.AgentKey.Absent != posture.NotAsked { // an earlier version does not tell
		rows = append(rows, named{"The key that it signs with is kept", reading(s.AgentKey, keyPlace)})
	}
	return rows
}

// keyPlace says where a laptop keeps its key.
func keyPlace(p posture.KeyPlace) string {
	switch p {
	case posture.InTPM:
		return "in the laptop's TPM, which gives it to nobody"
	case posture.InFile:
		return "in a file that the agent's account alone may read"
	}
	return string(p)
}
