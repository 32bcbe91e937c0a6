package assess

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

func stick(serial string) posture.Medium {
	return posture.Medium{Serial: posture.Read(serial), Kind: posture.DiskMedium, Bus: "usb", Vendor: "Invented", Product: "Stick"}
}

var nameless = posture.Medium{Serial: posture.Unread[string](posture.NotVisible), Kind: posture.DiskMedium, Bus: "usb", Vendor: "Invented", Product: "Nameless"}

// look folds one look at the attached media and returns the events as words.
func look(t *testing.T, before json.RawMessage, began bool, media posture.Answer[posture.Medium], after, done uint64) (json.RawMessage, string) {
	t.Helper()
	facts := posture.Facts{Media: media}
	var o Outcome
	r := Request{Now: monday, Due: []string{wire.Media}, MediaLog: before, Began: began, EventsAfter: after, EventsDone: done}
	if err := foldMedia(&facts, r, &o); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range facts.MediaEvents.Items {
		words = append(words, fmt.Sprintf("%d %s %s", e.Number, e.Action, e.Serial.Value))
	}
	return o.MediaLog, strings.Join(words, ", ")
}

func TestMediaComeAndGo(t *testing.T) {
	attached := func(m ...posture.Medium) posture.Answer[posture.Medium] { return posture.Found("sysfs", m...) }
	partly := attached(stick("b"))
	partly.Gaps = []posture.Gap{{Source: "sdb", Absent: posture.Denied}}
	var log json.RawMessage
	for i, step := range []struct {
		began       bool
		media       posture.Answer[posture.Medium]
		after, done uint64
		want        string
	}{
		{true, attached(stick("a")), 0, 0, "1 present a"},
		{false, attached(stick("a"), stick("b")), 0, 0, "1 present a, 2 attach b"},
		{false, attached(stick("a"), stick("b")), 2, 0, ""},
		{false, posture.NotFound[posture.Medium]("sysfs", posture.Denied), 2, 0, ""},
		{false, partly, 2, 0, ""},
		{false, attached(stick("b")), 2, 0, "3 detach a"},
		{false, attached(stick("b")), 0, 2, "3 detach a"},
		{true, attached(), 3, 3, "4 gone b"},
		{false, attached(nameless, nameless), 4, 4, "5 attach , 6 attach "},
		{false, attached(nameless), 6, 6, "7 detach "},
	} {
		var got string
		if log, got = look(t, log, step.began, step.media, step.after, step.done); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

// A school's key that arrives or is replaced, and a number that could not be
// read once, are no coming and going.
func TestSerialsThatChangeAreNoEvents(t *testing.T) {
	keyless, hashed, anew, unread := stick(""), stick("a1"), stick("a2"), stick("")
	keyless.Serial = posture.Unread[string](posture.Unsupported)
	unread.Serial = posture.Unread[string](posture.TimedOut)
	other := stick("b2")
	log := mediaLog{Version: mediaLogVersion}
	for i, step := range []struct {
		key   string
		media []posture.Medium
		want  int // events so far
	}{
		{"", []posture.Medium{keyless}, 1},
		{"k1", []posture.Medium{hashed}, 1},
		{"k1", []posture.Medium{unread}, 1},
		{"k1", []posture.Medium{hashed}, 1},
		{"k2", []posture.Medium{anew}, 1},
		{"k2", []posture.Medium{other}, 3},
		{"k2", []posture.Medium{other, unread}, 4},
	} {
		log.fold(posture.Found("sysfs", step.media...), monday, false, step.key)
		if len(log.Events) != step.want {
			t.Errorf("step %d: got %d events, want %d: %+v", i, len(log.Events), step.want, log.Events)
		}
	}
}

func TestMediaLogIsBounded(t *testing.T) {
	log := mediaLog{Version: mediaLogVersion}
	for i := range maxEvents {
		log.fold(posture.Found("sysfs", stick("a")), monday.Add(time.Duration(i)*time.Second), false, "")
		log.fold(posture.Found[posture.Medium]("sysfs"), monday.Add(time.Duration(i)*time.Second), false, "")
	}
	if len(log.Events) != maxEvents || log.Events[0].Number != maxEvents+1 || log.Last != 2*maxEvents {
		t.Errorf("got %d events from %d to %d", len(log.Events), log.Events[0].Number, log.Last)
	}
}

func FuzzMediaLog(f *testing.F) {
	f.Add([]byte(`{"version":1,"last":3,"attached":[{"number":1,"at":"2026-11-23T08:05:00Z","action":"attach","serial":{"value":"a"},"kind":"disk","bus":"usb"}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts := posture.Facts{Media: posture.Found("sysfs", stick("a"))}
		var o Outcome
		r := Request{Now: monday, Due: []string{wire.Media}, MediaLog: data}
		if err := foldMedia(&facts, r, &o); err != nil {
			return
		}
		r.MediaLog = o.MediaLog
		if err := foldMedia(&facts, r, &o); err != nil {
			t.Errorf("what was kept cannot be read: %v", err)
		}
	})
}
