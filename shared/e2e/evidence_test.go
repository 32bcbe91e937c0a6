package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/evidence"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// bundle asks for evidence about a laptop at a moment, and verifies it.
func (w *world) bundle(l *laptop, at time.Time) ([]byte, *evidence.Bundle) {
	w.t.Helper()
	answer := ask[collectorapp.EvidenceAnswer](w, "evidence.device", collectorapp.EvidenceArguments{Device: l.device, At: at})
	b, v, err := evidence.Verify(answer.Bundle, evidence.Trust{})
	must(w.t, err)
	if v.Origin {
		w.t.Error("the origin is proven by nothing")
	}
	return answer.Bundle, b
}

// TestEvidenceOfALostLaptop: a laptop that was not encrypted at first, then
// was, is lost; its record grows afterwards. Evidence says what was proven at
// each moment, stays what it is, and a stranger verifies it.
func TestEvidenceOfALostLaptop(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	l.becomes("encrypted-laptop")
	l.at(monday.Add(24 * time.Hour))
	until(t, "the next report shows", func() bool { return l.shown().LastReport == 2 })
	encrypted := l.shown().ReportedAt
	w.clock.Advance(30 * time.Minute)
	lost := w.clock.Now()

	sealed, b := w.bundle(l, lost)
	s := b.Sheet
	if s.State != evidence.Encrypted || !s.Since.Equal(encrypted) || s.Reported.Sequence != 2 || s.Hostname != "hb-lt-014" {
		t.Errorf("when it was lost: %s since %v, report %d of %s", s.State, s.Since, s.Reported.Sequence, s.Hostname)
	}
	if len(s.Spans) != 2 || s.Spans[0].State != evidence.NotEncrypted || s.Spans[0].First != 1 || len(s.Volumes) == 0 || s.Security == nil || len(s.NotKnown) == 0 {
		t.Errorf("its history and state: %+v", s)
	}
	if _, before := w.bundle(l, monday.Add(time.Hour)); before.Sheet.State != evidence.NotEncrypted {
		t.Errorf("an hour after the first report it was %s", before.Sheet.State)
	}
	if _, never := w.bundle(l, monday.Add(-time.Hour)); never.Sheet.State != evidence.NotProven || never.Sheet.Reported.Sequence != 0 {
		t.Errorf("before it first reported it was %s by report %d", never.Sheet.State, never.Sheet.Reported.Sequence)
	}

	// What comes later changes nothing that was said of the moment.
	l.becomes("plain-laptop")
	l.at(monday.Add(72 * time.Hour))
	until(t, "the later report shows", func() bool { return l.shown().LastReport >= 3 })
	_, later := w.bundle(l, lost)
	if now, then := sheet(t, later), sheet(t, b); now != then {
		t.Errorf("the answer about the moment was %s and is %s", then, now)
	}
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	_, rebuilt := w.bundle(l, lost)
	if now, then := sheet(t, rebuilt), sheet(t, b); now != then {
		t.Errorf("with a view that was made again it is %s, and was %s", now, then)
	}

	key, err := identity.ParseSchoolVerifier(b.Key)
	must(t, err)
	if _, v, err := evidence.Verify(sealed, evidence.Trust{Key: &key}); err != nil || !v.Origin || v.Signed < 2 {
		t.Errorf("with the school's key: %+v, %v", v, err)
	}
	if _, v, err := evidence.Verify(sealed, evidence.Trust{Checkpoint: []byte(b.Checkpoint)}); err != nil || !v.Origin {
		t.Errorf("with a checkpoint: %+v, %v", v, err)
	}
	var page bytes.Buffer
	must(t, evidence.Print(&page, b, time.UTC, lost))
	for _, want := range []string{"hb-lt-014 of Hollybank Primary School", "ENCRYPTED, and its keys were guarded", "30 minutes before", "Not known:", "72 hours"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the sheet does not say %q:\n%s", want, page.String())
		}
	}
	// Every byte counts. A prime number of bytes between those that are changed
	// meets every part of the file.
	for i := 0; i < len(sealed); i += 211 {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, _, err := evidence.Verify(changed, evidence.Trust{}); err == nil {
			t.Errorf("byte %d of %d was changed, and it verifies", i, len(sealed))
		}
	}
	strangerVerifies(t, w.dir, sealed, b)
}

func sheet(t *testing.T, b *evidence.Bundle) string {
	t.Helper()
	text, err := json.Marshal(b.Sheet)
	must(t, err)
	return string(text)
}

// strangerVerifies runs the verifier that was written from the description
// alone, on the evidence and on the evidence with each kind of change.
func strangerVerifies(t *testing.T, dir string, sealed []byte, b *evidence.Bundle) {
	t.Helper()
	program := filepath.Join(dir, "stranger")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../tools/stranger")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the other verifier: %v\n%s", err, out)
	}
	file := filepath.Join(dir, "evidence")
	run := func(data []byte, key string) (string, error) {
		must(t, os.WriteFile(file, data, 0o600))
		out, err := exec.CommandContext(t.Context(), program, file, key).CombinedOutput()
		return string(out), err
	}
	if out, err := run(sealed, b.Key); err != nil || !strings.Contains(out, "good") {
		t.Errorf("the other verifier: %v\n%s", err, out)
	}
	if out, err := run(sealed, "caretaker.school/other+00000000+AcwsYQ=="); err == nil {
		t.Errorf("the other verifier trusts another key:\n%s", out)
	}
	for _, i := range []int{0, 30, len(sealed) / 3, len(sealed) / 2, len(sealed) - 120, len(sealed) - 3} {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if out, err := run(changed, b.Key); err == nil {
			t.Errorf("byte %d was changed, and the other verifier says\n%s", i, out)
		}
	}
}

// TestARewrittenPastIsSeen: a checkpoint that was given away proves that the
// ledger begins with what was signed then. A record that was made anew with the
// school's own key, or put back from an old copy, is not that record.
func TestARewrittenPastIsSeen(t *testing.T) {
	w := newWorld(t)
	folder := filepath.Join(w.dir, "given")
	must(t, os.Mkdir(folder, 0o755))
	c := w.collectBy(w.clock, func(c *collectorapp.Config) { c.Checkpoints = folder })
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	given := func() []collectorapp.GivenCheckpoint {
		names, err := filepath.Glob(filepath.Join(folder, "*.checkpoint"))
		must(t, err)
		var list []collectorapp.GivenCheckpoint
		for _, name := range names {
			note, err := os.ReadFile(name)
			must(t, err)
			list = append(list, collectorapp.GivenCheckpoint{Name: filepath.Base(name), Note: note})
		}
		return list
	}
	w.untilPassing(time.Hour, "two days' checkpoints are given away", func() bool { return len(given()) >= 2 })
	l.becomes("encrypted-laptop")
	w.untilPassing(time.Hour, "the next report shows", func() bool { return l.shown().LastReport >= 2 })
	must(t, l.stop())

	verify := func(list ...collectorapp.GivenCheckpoint) collectorapp.LedgerReport {
		return ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{Against: list})
	}
	kept := given()
	if r := verify(kept...); !r.Good || r.Agrees != len(kept) {
		t.Errorf("against all that was given away: %+v", r)
	}
	now := ask[collectorapp.CheckpointAnswer](w, "ledger.checkpoint", collectorapp.LedgerArguments{})
	must(t, c.stop())

	// The record as it was before: every byte of it is good, and its end is gone.
	rewritten := bytes.Replace([]byte(now.Checkpoint), []byte("\n"), []byte("\n1"), 1)
	for name, note := range map[string][]byte{"another size": rewritten, "no checkpoint": []byte("x"), "": nil} {
		if r := verify(collectorapp.GivenCheckpoint{Name: name, Note: note}); r.Good || !strings.Contains(r.Trouble, "against") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	w.rewrite(l.device)
	for _, g := range append(kept[len(kept)-1:], collectorapp.GivenCheckpoint{Name: "the last", Note: []byte(now.Checkpoint)}) {
		if r := verify(g); r.Good || !strings.Contains(r.Trouble, "the record was rewritten") && !strings.Contains(r.Trouble, "the end of the record is gone") {
			t.Errorf("a record that was made anew, against %s: %+v", g.Name, r)
		}
	}
	if r := verify(); !r.Good {
		t.Errorf("by itself it is good, which is why checkpoints are given away: %+v", r)
	}
}

// rewrite makes a school's ledger anew, with the school's own key and without
// what a device reported: what an administrator could do.
func (w *world) rewrite(device string) {
	w.t.Helper()
	schools, err := enroll.LoadSchools(w.data)
	must(w.t, err)
	signer, err := schools[0].Key.Signer()
	must(w.t, err)
	verifier, err := schools[0].Key.Verifier()
	must(w.t, err)
	options := ledger.Options{School: string(schools[0].ID), Signer: signer, Verifier: verifier.Note, Log: logTo(w.t, "ledger")}
	dir := schools[0].LedgerDir()
	old, err := ledger.Open(dir, options)
	must(w.t, err)
	made, err := ledger.Open(dir+".new", options)
	must(w.t, err)
	for r, err := range old.Entries(w.t.Context(), 0, ledger.Index(old.Size())) {
		must(w.t, err)
		if r.Envelope.Kind == proof.KindReport && r.Envelope.Subject == device {
			continue
		}
		e := ledger.Entry{Envelope: r.Envelope}
		for n := range r.Envelope.Sections {
			s, err := old.Section(w.t.Context(), r, n)
			must(w.t, err)
			e.Sections = append(e.Sections, s)
		}
		_, err := made.Append(w.t.Context(), e)
		must(w.t, err)
	}
	must(w.t, old.Close())
	must(w.t, made.Close())
	must(w.t, os.RemoveAll(dir))
	must(w.t, os.Rename(dir+".new", dir))
}
