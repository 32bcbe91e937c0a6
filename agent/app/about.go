package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
func about(ctx context.Context, c Config) enroll.Hardware {
	told, err := askAbout(ctx, c, aboutRequest{})
	if err != nil {
		c.Log.Info("what this computer is could not be read, so it is not said", "reason", err)
	}
	return told.Hardware
}

// aboutRequest is what the child is asked that says what this computer is.
type aboutRequest struct {
	// MediaKey asks for the numbers in its firmware, hashed with it, and nothing else.
	MediaKey []byte `json:"mediaKey,omitempty"`
}

type aboutAnswer struct {
	Hardware enroll.Hardware `json:"hardware"`
	Numbers  []string        `json:"numbers,omitempty"` // "" for one that there is not, or that cannot be read
}

// askAbout starts the child: what it reads takes no time, and whoever asks waits for
// it, as the first connection does. An assessment would ask for all else as well.
func askAbout(ctx context.Context, c Config, r aboutRequest) (told aboutAnswer, err error) {
	limits := childLimits()
	p := processes{path: c.Program, before: c.Before, replay: c.Replay, log: c.Log, limits: limits, left: map[system.Role][]<-chan struct{}{}}
	l := limits[system.SystemChild]
	l.Deadline = aboutWithin
	limits[system.SystemChild] = l
	request, err := json.Marshal(r)
	if err != nil {
		return aboutAnswer{}, fmt.Errorf("ask what this computer is: %w", err)
	}
	ended, err := p.run(ctx, system.Child{Role: system.SystemChild, Path: p.path, Args: p.args(aboutCommand)}, request)
	if err == nil {
		err = json.Unmarshal(ended.Answer, &told)
	}
	if err != nil {
		return aboutAnswer{}, fmt.Errorf("ask what this computer is: %w", err)
	}
	return told, nil
}

// answerAbout answers in the child.
func answerAbout(reader system.Reader, request []byte) (a aboutAnswer, err error) {
	defer system.EndApart()
	var r aboutRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return aboutAnswer{}, fmt.Errorf("read what is asked: %w", err)
	}
	known := func(r posture.Reading[string]) string {
		if r.Known() {
			return r.Value
		}
		return ""
	}
	if len(r.MediaKey) > 0 {
		numbers, ok := probe.HardwareNumbers(context.Background(), reader, r.MediaKey)
		if !ok {
			return aboutAnswer{}, errors.New("this program cannot ask such a computer for its numbers")
		}
		for _, n := range numbers {
			a.Numbers = append(a.Numbers, known(n))
		}
		return a, nil
	}
	h := &a.Hardware
	if found := probe.System(context.Background(), reader); len(found.Items) == 1 {
		h.Manufacturer, h.Model = known(found.Items[0].Manufacturer), known(found.Items[0].Model)
	}
	h.Serial = probe.SerialNumber(context.Background(), reader)
	return a, nil
}
