package assess

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// maxEvents bounds the log of media. Beyond it the oldest events are dropped,
// and the numbers of those that stay show how many.
const maxEvents = 2000

// mediaLog is the log of media that came and went, and what is attached as far
// as it knows. It is kept from one assessment to the next.
type mediaLog struct {
	Version  int                   `json:"version"`
	Last     uint64                `json:"last"` // number of the last event
	Attached []posture.MediumEvent `json:"attached,omitempty"`
	Events   []posture.MediumEvent `json:"events,omitempty"` // those that the collector may not have
}

const mediaLogVersion = 1

// foldMedia brings the log up to date with the media that are attached, and
// puts the events that the next report should carry into facts.
func foldMedia(facts *posture.Facts, r Request, o *Outcome) error {
	log := mediaLog{Version: mediaLogVersion}
	if len(r.MediaLog) > 0 {
		if err := json.Unmarshal(r.MediaLog, &log); err != nil || log.Version != mediaLogVersion {
			return fmt.Errorf("read the log of media, version %d: %w", log.Version, err)
		}
	}
	if slices.Contains(r.Due, wire.Media) {
		log.fold(facts.Media, r.Now, r.Began)
	}
	log.forget(r.EventsDone)
	var err error
	if o.MediaLog, err = json.Marshal(log); err != nil {
		return fmt.Errorf("keep the log of media: %w", err)
	}
	o.LastEvent = log.Last
	facts.MediaEvents = posture.Found("media log", slices.DeleteFunc(slices.Clone(log.Events),
		func(e posture.MediumEvent) bool { return e.Number <= r.EventsAfter })...)
	facts.MediaEvents.ReadAt = r.Now
	return nil
}

// fold compares what is attached with what was. An answer that is absent says
// nothing; one with gaps shows what is there and not what has gone. Began says
// that the agent has only just begun to look, so that the times of what
// changed before are not known.
func (l *mediaLog) fold(media posture.Answer[posture.Medium], now time.Time, began bool) {
	if media.Absent != posture.None {
		return
	}
	came, went := posture.Attached, posture.Detached
	if began {
		came, went = posture.Present, posture.Gone
	}
	var attached []posture.MediumEvent
	before := slices.Clone(l.Attached)
	for _, m := range media.Items {
		e := posture.MediumEvent{
			Serial: m.Serial, Kind: m.Kind, Bus: m.Bus, VendorID: m.VendorID, ProductID: m.ProductID,
			Vendor: m.Vendor, Product: m.Product,
		}
		attached = append(attached, e)
		if i := slices.IndexFunc(before, func(b posture.MediumEvent) bool { return sameMedium(b, e) }); i >= 0 {
			before = slices.Delete(before, i, i+1)
			continue
		}
		l.add(e, came, now)
	}
	if len(media.Gaps) > 0 {
		l.Attached = append(attached, before...)
		return
	}
	for _, e := range before {
		l.add(e, went, now)
	}
	l.Attached = attached
}

func (l *mediaLog) add(e posture.MediumEvent, what posture.MediumAction, now time.Time) {
	l.Last++
	e.Number, e.Action, e.At = l.Last, what, now
	l.Events = append(l.Events, e)
	if over := len(l.Events) - maxEvents; over > 0 {
		l.Events = slices.Delete(l.Events, 0, over)
	}
}

// forget drops the events that the collector has.
func (l *mediaLog) forget(done uint64) {
	l.Events = slices.DeleteFunc(l.Events, func(e posture.MediumEvent) bool { return e.Number <= done })
}

// sameMedium reports whether two descriptions are of one medium: by its serial
// number if both have one, else by all that it says of itself.
func sameMedium(a, b posture.MediumEvent) bool {
	if a.Serial.Known() && b.Serial.Known() {
		return a.Serial == b.Serial
	}
	return a.Serial.Known() == b.Serial.Known() && a.Kind == b.Kind && a.Bus == b.Bus && a.VendorID == b.VendorID &&
		a.ProductID == b.ProductID && a.Vendor == b.Vendor && a.Product == b.Product
}
