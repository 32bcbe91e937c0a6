package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const secondSchool = "Fernleigh Infants"

// found makes another school.
func (w *world) found(name string) posture.SchoolID {
	w.t.Helper()
	return ask[collectorapp.InitAnswer](w, "init", collectorapp.InitArguments{School: name}).School
}

// laptopAt enrols a laptop at one of several schools and starts its agent.
func (w *world) laptopAt(school posture.SchoolID, name, machine, address string) *laptop {
	w.t.Helper()
	l := &laptop{w: w, state: filepath.Join(w.dir, name), machine: filepath.Join(w.dir, name+"-machine")}
	must(w.t, os.Mkdir(l.machine, 0o755))
	l.becomes(machine)
	args := tokenFor(address)
	args.School = string(school)
	token := ask[collectorapp.TokenAnswer](w, "token.create", args)
	id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: token.Token}, w.clock)
	must(w.t, err)
	l.device = string(id.Device)
	l.run()
	return l
}

// reports lists the numbers of a laptop's reports in its school's ledger.
func (w *world) reports(school posture.SchoolID, device string) []uint64 {
	w.t.Helper()
	var list []uint64
	for _, e := range ask[[]collectorapp.EntryView](w, "ledger.show", collectorapp.LedgerArguments{School: string(school), Count: 10_000}) {
		if e.Kind == "gap" {
			w.t.Errorf("entry %d of %s says that reports are missing", e.Index, school)
		}
		if e.Kind == "report" && e.Subject == device {
			list = append(list, e.Sequence)
		}
	}
	return list
}

// status says how a school's record stands.
func (w *world) status(school posture.SchoolID) collectorapp.SchoolStatus {
	w.t.Helper()
	for _, s := range ask[[]collectorapp.SchoolStatus](w, "status", struct{}{}) {
		if s.School == school {
			return s
		}
	}
	w.t.Fatalf("nothing is known of the record of %s", school)
	return collectorapp.SchoolStatus{}
}

// looksWait checks how many looks at a school's devices wait to be recorded.
func (w *world) looksWait(school posture.SchoolID, want int) {
	w.t.Helper()
	if words := strings.Join(w.status(school).Trouble, "; "); !strings.Contains(words, fmt.Sprintf("%d looks at devices wait", want)) {
		w.t.Errorf("%d looks should wait to be recorded: %s", want, words)
	}
}

// only returns the one school of a world.
func (w *world) only() posture.SchoolID {
	w.t.Helper()
	all := ask[[]collectorapp.SchoolStatus](w, "status", struct{}{})
	if len(all) != 1 {
		w.t.Fatalf("there are %d schools", len(all))
	}
	return all[0].School
}

// record is the folder of a school's ledger.
func (w *world) record(school posture.SchoolID) string {
	return filepath.Join(w.data, "schools", string(school), "ledger")
}

// flip changes one bit of a file, and changes it back if called again.
func flip(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	must(t, err)
	must(t, f.Close())
}

// segment is the file that a new ledger's envelopes are in.
func (w *world) segment(school posture.SchoolID) string {
	return filepath.Join(w.record(school), "segments", strings.Repeat("0", 16)+".seg")
}

// TestADamagedRecordStopsItsOwnSchoolAlone: the collector starts and serves the
// others; the damage is named by a command and on the school's pages, which
// still show what was known; its laptops keep their reports, and these arrive
// when the record is whole again.
func TestADamagedRecordStopsItsOwnSchoolAlone(t *testing.T) {
	w := newWorld(t)
	hurt := w.only()
	whole := w.found(secondSchool)
	c := w.collect()
	road := newLink(t, c.agents)
	mine, theirs := w.laptopAt(hurt, "mine", "plain-laptop", road.Address()), w.laptopAt(whole, "theirs", "plain-laptop", road.Address())
	for _, l := range []*laptop{mine, theirs} {
		until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 1 })
	}
	until(t, "the reports show", func() bool { s := w.status(hurt); return s.Shown == s.Entries })
	road.Cut()
	must(t, c.stop())
	must(t, os.Remove(filepath.Join(w.record(hurt), "subjects"))) // so that opening reads everything
	flip(t, w.segment(hurt), 40)

	c = w.collect()
	road.Mend(c.agents)
	for _, l := range []*laptop{mine, theirs} {
		l.becomes("encrypted-laptop")
	}
	w.clock.Advance(2 * time.Hour)
	w.untilPassing(10*time.Second, "the other school's report is recorded", func() bool { return theirs.status().Acknowledged == 2 })
	w.untilPassing(10*time.Second, "the laptop has something to send", func() bool { return mine.status().Waiting > 0 })
	if s := mine.status(); s.Acknowledged != 1 {
		t.Errorf("report %d is acknowledged, and cannot be recorded", s.Acknowledged)
	}

	s := w.status(hurt)
	if s.Recording || s.Damage == nil || s.Damage.File != "segments/"+filepath.Base(w.segment(hurt)) || s.Damage.Entry == nil || s.Since.IsZero() {
		t.Errorf("the command says %+v", s)
	}
	if s := w.status(whole); !s.Well() {
		t.Errorf("of the other school the command says %+v", s)
	}
	if r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{School: string(hurt)}); r.Good || !strings.Contains(r.Trouble, ".seg") {
		t.Errorf("verify says %+v", r)
	}
	refusedWith(t, w.do("token.create", collectorapp.TokenArguments{School: string(hurt), Uses: 1, Lifetime: time.Hour, Ownership: "school-single-user"}, new(collectorapp.TokenAnswer)), schoolName, "is stopped", ".seg")
	p := w.signIn(c, "dpo")
	p.shows("/schools/"+string(hurt), "Part of the record of "+schoolName+" cannot be read", "Nothing has been recorded for this school since", ".seg", "from a backup")
	p.shows("/schools/"+string(hurt)+"/devices/"+mine.device, "Part of the record of "+schoolName+" cannot be read")
	w.looksWait(hurt, 1)
	p.shows("/", "Part of the record of "+schoolName+" cannot be read")
	if _, body := p.get("/schools/" + string(whole)); strings.Contains(body, "cannot be read") {
		t.Error("the other school's pages speak of damage")
	}

	road.Cut()
	must(t, c.stop())
	flip(t, w.segment(hurt), 40)
	c = w.collect()
	road.Mend(c.agents)
	w.untilPassing(10*time.Second, "the report is recorded", func() bool { return mine.status().Acknowledged == 2 })
	for school, l := range map[posture.SchoolID]*laptop{hurt: mine, whole: theirs} {
		if got := w.reports(school, l.device); len(got) != 2 || got[0] != 1 || got[1] != 2 {
			t.Errorf("%s has the reports %v", school, got)
		}
		if r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{School: string(school)}); !r.Good {
			t.Errorf("%s: %s", school, r.Trouble)
		}
	}
}

// TestADamagedBodyIsNamedAndTakesNothingElseWithIt: the school is recorded and
// shown all the same, and its pages and the command name what cannot be read.
func TestADamagedBodyIsNamedAndTakesNothingElseWithIt(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	school := w.only()
	must(t, c.stop())
	bodies, err := filepath.Glob(filepath.Join(w.record(school), "bodies", "posture", "*"))
	must(t, err)
	if len(bodies) != 1 {
		t.Fatalf("the posture of a month is in %v", bodies)
	}
	whole, err := os.ReadFile(bodies[0])
	must(t, err)
	flip(t, bodies[0], int64(len(whole)-10))
	must(t, os.RemoveAll(filepath.Join(w.data, "view")))

	c = w.collect()
	until(t, "the view is made again", func() bool { s := w.status(school); return s.Shown == s.Entries && s.Damage != nil })
	s := w.status(school)
	if !s.Recording || len(s.Trouble) != 0 || !strings.Contains(s.Damage.String(), filepath.Base(bodies[0])) {
		t.Errorf("the command says %+v, damaged: %s", s, s.Damage)
	}
	p := w.signIn(c, "dpo")
	p.shows("/schools/"+string(school), "Part of the record of "+schoolName+" cannot be read", "recorded all the same", filepath.Base(bodies[0]), "from a backup")
	p.shows("/schools/"+string(school)+"/devices/"+l.device, "Not proven")

	must(t, c.stop())
	must(t, os.WriteFile(bodies[0], whole, 0o600))
	must(t, os.RemoveAll(filepath.Join(w.data, "view")))
	w.collect()
	until(t, "all is well", func() bool { s := w.status(school); return s.Well() && s.Shown == s.Entries })
	w.verified()
}

// TestARecordThatFailsWhileItRunsStopsAlone: when a school's ledger can be
// neither written nor taken back, that school's laptops keep their reports, its
// pages say so, and once the folder is put right all goes on by itself.
func TestARecordThatFailsWhileItRunsStopsAlone(t *testing.T) {
	w := newWorld(t)
	hurt := w.only()
	whole := w.found(secondSchool)
	c := w.collect()
	mine, theirs := w.laptopAt(hurt, "mine", "plain-laptop", c.agents), w.laptopAt(whole, "theirs", "plain-laptop", c.agents)
	for _, l := range []*laptop{mine, theirs} {
		until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 1 })
	}

	// No report can have its bodies written, nor what was written be taken back.
	media := filepath.Join(w.record(hurt), "bodies")
	must(t, os.Rename(media, media+".away"))
	must(t, os.WriteFile(media, nil, 0o600))
	must(t, os.Rename(w.segment(hurt), w.segment(hurt)+".away"))
	for _, l := range []*laptop{mine, theirs} {
		l.becomes("plain-laptop-with-stick")
	}
	w.clock.Advance(2 * time.Hour)
	pages := w.signIn(c, "technician")
	w.untilPassing(10*time.Second, "the record is stopped", func() bool {
		_, body := pages.get("/schools/" + string(hurt))
		return strings.Contains(body, "Nothing is being recorded for "+schoolName)
	})
	if w.status(hurt).Recording {
		t.Error("the command says that it is recording")
	}
	until(t, "the other school's report is recorded", func() bool { return theirs.status().Acknowledged == 2 })
	// Files that were open could still be written, until one had to be made.
	recorded := mine.status().Acknowledged
	mine.becomes("encrypted-laptop")
	w.clock.Advance(2 * time.Hour)
	w.untilPassing(10*time.Second, "the laptop has a report that cannot be recorded", func() bool { return mine.status().Waiting > 0 })
	if s := mine.status(); s.Acknowledged != recorded {
		t.Errorf("the laptop has %d reports acknowledged, and had %d", s.Acknowledged, recorded)
	}
	pages = w.signIn(c, "dpo") // two hours end a session
	pages.shows("/schools/"+string(hurt), "Nothing is being recorded for "+schoolName, "Laptops keep their reports", "tries again every minute")
	pages.shows("/schools/"+string(hurt)+"/devices/"+mine.device, "Nothing is being recorded for "+schoolName)
	w.looksWait(hurt, 1)

	must(t, os.Remove(media))
	must(t, os.Rename(media+".away", media))
	must(t, os.Rename(w.segment(hurt)+".away", w.segment(hurt)))
	w.untilPassing(10*time.Second, "the report is recorded", func() bool {
		s := mine.status()
		return s.Acknowledged > recorded && s.Waiting == 0
	})
	w.untilPassing(10*time.Second, "all is well", func() bool { s := w.status(hurt); return s.Well() && s.Shown == s.Entries })
	for n, got := range w.reports(hurt, mine.device) {
		if got != uint64(n)+1 {
			t.Errorf("the record has report %d in place of %d", got, n+1)
		}
	}
	if _, body := pages.get("/schools/" + string(hurt)); strings.Contains(body, "Nothing is being recorded") {
		t.Error("the pages still say that nothing is recorded")
	}
	if r := ask[collectorapp.LedgerReport](w, "ledger.verify", collectorapp.LedgerArguments{School: string(hurt)}); !r.Good {
		t.Error(r.Trouble)
	}
}

// TestASchoolMadeWhileTheCollectorRunsIsServed at once.
func TestASchoolMadeWhileTheCollectorRunsIsServed(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	p := w.signIn(c, "technician")
	school := w.found(secondSchool)
	l := w.laptopAt(school, "laptop", "plain-laptop", c.agents)
	until(t, "the report is recorded", func() bool { return l.status().Acknowledged == 1 })
	until(t, "it shows", func() bool { s := w.status(school); return s.Well() && s.Shown == s.Entries })
	p.shows("/schools/"+string(school)+"/devices/"+l.device, "hb-lt-014")
}

// enrols tries to enrol a laptop by a token, wherever the collector is now.
func (w *world) enrols(name, text, address string, clk clock.Clock) error {
	w.t.Helper()
	token, err := identity.ParseToken(text)
	must(w.t, err)
	token.Addresses = []string{address}
	_, err = agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: filepath.Join(w.dir, name), Token: token.String()}, clk)
	return err
}

// TestASchoolWithoutItsKeyStopsAlone: a key that is gone is named, and the other
// schools are served.
func TestASchoolWithoutItsKeyStopsAlone(t *testing.T) {
	w := newWorld(t)
	hurt := w.only()
	whole := w.found(secondSchool)
	key := filepath.Join(w.data, "schools", string(hurt), "keys", "school.key.pem")
	must(t, os.Rename(key, key+".away"))
	must(t, os.RemoveAll(filepath.Join(w.data, "view")))
	c := w.collect()
	l := w.laptopAt(whole, "laptop", "plain-laptop", c.agents)
	until(t, "the other school's report is recorded", func() bool { return l.status().Acknowledged == 1 })
	if s := w.status(hurt); s.Recording || len(s.Trouble) == 0 || !strings.Contains(s.Trouble[0], "school.key.pem") {
		t.Errorf("the command says %+v", s)
	}
	p := w.signIn(c, "technician")
	p.shows("/", schoolName, "Nothing is being recorded for "+schoolName)
	if status, body := p.get("/schools/" + string(hurt)); status != 503 || !strings.Contains(body, "school.key.pem") || !strings.Contains(body, "start the collector again") {
		t.Errorf("its page has status %d and says %s", status, body)
	}
	must(t, c.stop())
	must(t, os.Rename(key+".away", key))
	c = w.collect()
	if s := w.status(hurt); !s.Well() {
		t.Errorf("with its key again the command says %+v", s)
	}
	must(t, c.stop())
}
