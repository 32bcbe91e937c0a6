package decision

import (
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/particulars"
	"github.com/caretaker-school/caretaker/collector/subject"
	"github.com/caretaker-school/caretaker/shared/proof"
)

func TestARequestOfAPersonIsRecorded(t *testing.T) {
	asked := subject.Change{ID: "sr-1", What: subject.Receive, On: "2026-11-02", Zone: "Europe/London", Name: "Sam Carter", How: subject.Spoken}
	good := Decision{Kind: Subject, By: "dpo", At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), Reason: "asked in the corridor", Request: &asked}
	section, err := Encode(good, [proof.SaltSize]byte{1})
	if err != nil || section.Class != proof.People {
		t.Fatalf("class %v, %v", section.Class, err)
	}
	if again, err := Decode(section.Body); err != nil || again.Request == nil || again.Request.Name != "Sam Carter" {
		t.Errorf("read back: %+v, %v", again, err)
	}
	for name, spoil := range map[string]func(*Decision){
		"nothing":         func(d *Decision) { d.Request = nil },
		"nobody who asks": func(d *Decision) { c := asked; c.Name = ""; d.Request = &c },
		"another kind":    func(d *Decision) { d.Kind = Calendar },
		"a breach":        func(d *Decision) { d.Breach = breach.Key{Device: "d", Rule: "r", Kind: "k"} },
		"a person too":    func(d *Decision) { d.Person = "Sam Carter" },
		"a school":        func(d *Decision) { d.Particulars = &particulars.Particulars{} },
	} {
		d := good
		spoil(&d)
		if _, err := Encode(d, [proof.SaltSize]byte{1}); err == nil {
			t.Errorf("%s: it was recorded", name)
		}
	}
}

func TestAnExportIsTheFileThatItNames(t *testing.T) {
	file := []byte("{}\n")
	d := Decision{
		Kind: Subject, By: "dpo", At: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), Reason: "gathered",
		Request: &subject.Change{ID: "sr-1", What: subject.Export, People: []string{"Sam Carter"}, Digest: subject.Digest(file)},
	}
	sections, err := ExportSections(d, file, [2][proof.SaltSize]byte{{1}, {2}})
	if err != nil || len(sections) != 2 || sections[0].Name != SubjectExport || sections[0].Class != proof.People || string(sections[0].Body) != "{}\n" {
		t.Fatalf("got %+v, %v", sections, err)
	}
	if _, err := ExportSections(d, []byte("{ }\n"), [2][proof.SaltSize]byte{}); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("another file: %v", err)
	}
	d.Request = &subject.Change{ID: "sr-1", What: subject.Answered, On: "2026-11-02"}
	if _, err := ExportSections(d, file, [2][proof.SaltSize]byte{}); err == nil {
		t.Error("an answer was recorded with a file")
	}
}
