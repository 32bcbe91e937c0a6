package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// aboutWithin bounds that child: nobody waits long for what only helps a person
// to recognise a laptop.
const aboutWithin = time.Minute

// about asks this machine for its make and model, for whoever approves it, and for
// its serial number, by which the school's register may. What cannot be read is left
// out, and stops nothing.
func about(ctx context.Context, c Config) (h enroll.Hardware) {
	limits := childLimits()
	p := processes{path: c.Program, before: c.Before, replay: c.Replay, log: c.Log, limits: limits, left: map[system.Role][]<-chan struct{}{}}
	l := limits[system.SystemChild]
	l.Deadline = aboutWithin
	limits[system.SystemChild] = l
	ended, err := p.run(ctx, system.Child{Role: system.SystemChild, Path: p.path, Args: p.args(aboutCommand)}, []byte("{}"))
	if err == nil {
		err = json.Unmarshal(ended.Answer, &h)
	}
	if err != nil {
		c.Log.Info("what this computer is could not be read, so it is not said", "reason", err)
		return enroll.Hardware{}
	}
	return h
}

// answerAbout answers in the child.
func answerAbout(reader system.Reader) (h enroll.Hardware) {
	defer system.EndApart()
	known := func(r posture.Reading[string]) string {
		if r.Known() {
			return r.Value
		}
		return ""
	}
	if found := probe.System(context.Background(), reader); len(found.Items) == 1 {
		h.Manufacturer, h.Model = known(found.Items[0].Manufacturer), known(found.Items[0].Model)
	}
	h.Serial = probe.SerialNumber(context.Background(), reader)
	return h
}
