package probe

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// askDefender asks mdatp. In passive mode the engine runs beside another
// product and stops nothing, whatever its own switch for real-time protection
// says.
func askDefender(ctx context.Context, sys system.Reader, _ processes, a *posture.Antivirus) {
	out, err := sys.Run(ctx, system.MDATPHealth)
	if missing(err) {
		return
	}
	var h map[string]json.RawMessage
	if err == nil && json.Unmarshal(out.Stdout, &h) != nil {
		err = errUnknown
	}
	if err != nil {
		why := system.Absence(err)
		a.RealTime, a.Expired, a.Updating = posture.Unread[bool](why), posture.Unread[bool](why), posture.Unread[bool](why)
		a.Definitions, a.DefinitionsAt = posture.Unread[string](why), posture.Unread[time.Time](why)
		return
	}
	zone, err := localZone(ctx, sys)
	if err != nil {
		zone = nil
	}
	defenderHealth(h, zone, a)
}

// defenderHealth reads the document that mdatp prints. The spelling and the
// wrapping of its fields changed between versions; a field that is not
// understood stays absent. The age in minutes is never used: it has been seen
// counting from 1970.
func defenderHealth(h map[string]json.RawMessage, zone *time.Location, a *posture.Antivirus) {
	a.Version = defenderText(h, "app_version", "appVersion")
	on := defenderTruth(h, "real_time_protection_enabled", "realTimeProtectionEnabled")
	passive := defenderTruth(h, "passive_mode_enabled", "passiveModeEnabled")
	active := posture.Read(!passive.Value)
	if !passive.Known() {
		active = passive
	}
	a.RealTime = both(both(on, active), a.On)
	a.Updating = defenderTruth(h, "automatic_definition_update_enabled", "automaticDefinitionUpdateEnabled")
	if licensed := defenderTruth(h, "licensed"); licensed.Known() {
		a.Expired = posture.Read(!licensed.Value)
	} else {
		a.Expired = licensed
	}
	a.Definitions = defenderText(h, "definitions_version", "definitionsVersion")
	a.DefinitionsAt = defenderTime(h, zone, "definitions_updated", "definitionsUpdated")
}

// defenderValue finds a field under one of its names and takes it out of its
// wrapping, {"value": …}, if it has one.
func defenderValue(h map[string]json.RawMessage, names []string) (json.RawMessage, bool) {
	for _, name := range names {
		raw, ok := h[name]
		if !ok {
			continue
		}
		var wrapped struct {
			Value json.RawMessage `json:"value"`
			Type  json.RawMessage `json:"$type"`
		}
		if json.Unmarshal(raw, &wrapped) == nil {
			if wrapped.Value != nil {
				return wrapped.Value, true
			}
			if wrapped.Type != nil {
				return wrapped.Type, true
			}
		}
		return raw, true
	}
	return nil, false
}

func defenderTruth(h map[string]json.RawMessage, names ...string) posture.Reading[bool] {
	raw, ok := defenderValue(h, names)
	if !ok {
		return unsupported[bool]()
	}
	var b *bool // null is no answer
	if json.Unmarshal(raw, &b) != nil || b == nil {
		return posture.Unread[bool](posture.Unreadable)
	}
	return posture.Read(*b)
}

func defenderText(h map[string]json.RawMessage, names ...string) posture.Reading[string] {
	raw, ok := defenderValue(h, names)
	if !ok {
		return unsupported[string]()
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil || clean(*s, nameRunes) == "" {
		return posture.Unread[string](posture.Unreadable)
	}
	return posture.Read(clean(*s, nameRunes))
}

// defenderTime reads milliseconds or seconds since 1970, RFC 3339, or the text
// that mdatp prints for people, which is in the machine's own time zone.
func defenderTime(h map[string]json.RawMessage, zone *time.Location, names ...string) posture.Reading[time.Time] {
	raw, ok := defenderValue(h, names)
	if !ok {
		return unsupportedTime
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "\u202f", " ")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		for _, t := range []time.Time{time.UnixMilli(n), time.Unix(n, 0)} {
			if plausible(t) {
				return posture.Read(t.UTC())
			}
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil && plausible(t) {
		return posture.Read(t.UTC())
	}
	if zone != nil {
		t, err := time.ParseInLocation("Jan _2, 2006 at 03:04:05 PM", text, zone)
		if err == nil && plausible(t) {
			return posture.Read(t.UTC())
		}
	}
	return posture.Unread[time.Time](posture.Unreadable)
}
