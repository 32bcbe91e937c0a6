package assess

import (
	"crypto/sha256"
	"encoding/hex"
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
	Version int `json:"version"`
	// Key tells under which of the school's keys the serial numbers were
	// hashed; "" for none.
	Key      string                `json:"key,omitempty"`
	Last     uint64                `json:"last"` // number of the last event
	Attached []posture.MediumEvent `json:"attached,omitempty"`
	Events   []posture.MediumEvent `json:"events,omitempty"` // those that the collector may not have
	// Lost is the number of the last event in a log that could not be read,
	// while the collector may not know that; 0 if there was none.
	Lost uint64 `json:"lost,omitempty"`
}

const mediaLogVersion = 1

// mostEvents is more than a laptop sees in its life.
const mostEvents = 1 << 40

// foldMedia brings the log up to date with the media that are attached, and
// puts the events that the next report should carry into facts.
func foldMedia(facts *posture.Facts, r Request, o *Outcome) error {
	began := r.Began
	log, err := readMediaLog(r.MediaLog)
	if err != nil {
		// What lies in it is lost to the record, and that goes on record in its
		// place. When what is attached now came is not known.
		o.MediaTrouble, began = err.Error(), true
		last := max(log.Last, r.EventsTaken, r.EventsDone) + 1
		log = mediaLog{Version: mediaLogVersion, Last: last, Lost: last}
	}
	if slices.Contains(r.Due, wire.Media) {
		log.fold(facts.Media, r.Now, began, keyName(r.MediaKey))
	}
	log.forget(r.EventsDone)
	if o.MediaLog, err = json.Marshal(log); err != nil {
		return fmt.Errorf("keep the log of media: %w", err)
	}
	o.LastEvent = log.Last
	facts.MediaEvents = posture.Found("media log", slices.DeleteFunc(slices.Clone(log.Events),
		func(e posture.MediumEvent) bool { return e.Number <= r.EventsAfter })...)
	facts.MediaEvents.ReadAt = r.Now
	if log.Lost > r.EventsAfter {
		facts.MediaEvents.Gaps = append(facts.MediaEvents.Gaps, posture.Gap{Source: "media log", Absent: posture.Unreadable})
	}
	return nil
}

// readMediaLog reads the log as it was left; an empty one if there is none. Of
// one that cannot be read it returns the number of the last event, if that much
// can be.
func readMediaLog(data json.RawMessage) (mediaLog, error) {
	log := mediaLog{Version: mediaLogVersion}
	if len(data) == 0 {
		return log, nil
	}
	err := json.Unmarshal(data, &log)
	if err == nil && log.Version != mediaLogVersion {
		err = fmt.Errorf("version %d is not %d, the one this program reads", log.Version, mediaLogVersion)
	}
	if err == nil {
		return log, nil
	}
	var head struct {
		Last uint64 `json:"last"`
	}
	if json.Unmarshal(data, &head) != nil || head.Last > mostEvents {
		head.Last = 0
	}
	return mediaLog{Last: head.Last}, fmt.Errorf("read the log of media: %w", err)
}

// keyName tells one key from another and says nothing of either.
func keyName(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	sum := sha256.Sum256(append([]byte("caretaker media key\x00"), key...))
	return hex.EncodeToString(sum[:6])
}

// fold compares what is attached with what was. An answer that is absent says
// nothing; one with gaps shows what is there and not what has gone. Began says
// that the agent has only just begun to look, so that the times of what
// changed before are not known.
func (l *mediaLog) fold(media posture.Answer[posture.Medium], now time.Time, began bool, key string) {
	if media.Absent != posture.None {
		return
	}
	came, went := posture.Attached, posture.Detached
	if began {
		came, went = posture.Present, posture.Gone
	}
	attached := make([]posture.MediumEvent, 0, len(media.Items))
	for _, m := range media.Items {
		attached = append(attached, posture.MediumEvent{
			Serial: m.Serial, Kind: m.Kind, Bus: m.Bus, VendorID: m.VendorID, ProductID: m.ProductID,
			Vendor: m.Vendor, Product: m.Product,
		})
	}
	isNew, gone := l.match(attached, key)
	l.Key = key
	for i, e := range attached {
		if isNew[i] {
			l.add(e, came, now)
		}
	}
	if len(media.Gaps) > 0 {
		l.Attached = append(attached, gone...)
		return
	}
	for _, e := range gone {
		l.add(e, went, now)
	}
	l.Attached = attached
}

// match tells which of the media attached now are new, and which of those
// before have gone. Serial numbers that both looks know under one key decide.
// What is left is the same by all else that it says of itself, if either look
// could not tell the number or told it under another key: that a key came, or
// that a reading failed once, is no coming and going. A number that was known
// and could not be read again is kept.
func (l *mediaLog) match(attached []posture.MediumEvent, key string) (isNew []bool, gone []posture.MediumEvent) {
	gone = slices.Clone(l.Attached)
	isNew = make([]bool, len(attached))
	for i := range isNew {
		isNew[i] = true
	}
	for _, same := range []func(b, e posture.MediumEvent) bool{
		func(b, e posture.MediumEvent) bool {
			return b.Serial.Known() && b.Serial == e.Serial || !b.Serial.Known() && !e.Serial.Known() && alike(b, e)
		},
		func(b, e posture.MediumEvent) bool {
			return (key != l.Key || !b.Serial.Known() || !e.Serial.Known()) && alike(b, e)
		},
	} {
		for i, e := range attached {
			at := slices.IndexFunc(gone, func(b posture.MediumEvent) bool { return isNew[i] && same(b, e) })
			if at < 0 {
				continue
			}
			if key == l.Key && !e.Serial.Known() {
				attached[i].Serial = gone[at].Serial
			}
			isNew[i] = false
			gone = slices.Delete(gone, at, at+1)
		}
	}
	return isNew, gone
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
	if l.Lost <= done {
		l.Lost = 0
	}
}

// alike reports whether two media say the same of themselves but for the
// serial number.
func alike(a, b posture.MediumEvent) bool {
	return a.Kind == b.Kind && a.Bus == b.Bus && a.VendorID == b.VendorID && a.ProductID == b.ProductID &&
		a.Vendor == b.Vendor && a.Product == b.Product
}
