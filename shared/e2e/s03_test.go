package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/system/systemtest/crafted"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// game is an unsigned game, and its hash.
func game() (content []byte, sum string) {
	content = crafted.Named("Moonshot Racer", "3.1")
	hash := sha256.Sum256(content)
	return content, hex.EncodeToString(hash[:])
}

// teacher is whose laptop it is: a name that must never leave it.
const teacher = "zuleika.plumtree"

// saves makes a recorded laptop of the teacher's with some files in Downloads.
func (l *laptop) saves(files ...[]byte) {
	l.w.t.Helper()
	walk := `{"walk":{"files":[`
	for i, f := range files {
		if i > 0 {
			walk += ","
		}
		walk += `{"location":"downloads","base64":"` + base64.StdEncoding.EncodeToString(f) + `","signature":{"state":"unsigned"}}`
	}
	l.becomesLike("windows-laptop", "ffion", teacher, `{"rows":"disks"`, walk+"]}}\n"+`{"rows":"disks"`)
}

// portable lists what fails EXE-03 on a laptop.
func (l *laptop) portable() (list []view.Finding) {
	l.w.t.Helper()
	for _, f := range l.shown().Findings {
		if f.Rule == "EXE-03" && f.Result == posture.Fail {
			list = append(list, f)
		}
	}
	return list
}

// breachOf returns the breach of EXE-03 by a subject.
func (l *laptop) breachOf(f view.Finding) view.Breach {
	l.w.t.Helper()
	for _, b := range l.shown().Breaches {
		if b.Rule == "EXE-03" && b.Subject.Key == f.Subject.Key {
			return b
		}
	}
	return view.Breach{}
}

// sees is what an ordinary user reads who sits at the laptop.
func (l *laptop) sees() string {
	l.w.t.Helper()
	var b strings.Builder
	agentapp.PrintStatus(&b, l.status())
	return b.String()
}

// TestS3 is "Portable game": executables are forbidden, and a teacher saves an
// unsigned game to Downloads.
func TestS3(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	_, source, err := rulebook.Baseline() // it accepts only what is on the school's list
	must(t, err)
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "baseline.yaml", Source: source})
	l := w.laptop("laptop", "windows-laptop", c.agents)
	l.saves()
	w.untilPassing(time.Second, "nothing is in Downloads, by the school's policy", func() bool {
		if d := l.shown(); d.Policy == 1 && standing(d, "EXE-03") == view.Met {
			return true
		}
		_ = w.do("device.assess", collectorapp.ListArguments{Device: l.device}, new(any)) // it may not be connected yet
		return false
	})
	w.clock.Advance(time.Minute)

	// The teacher saves the game. Within 60 minutes one EXE-03 finding shows.
	content, sum := game()
	l.saves(content)
	saved := w.clock.Now()
	w.clock.Advance(time.Hour)
	until(t, "the laptop has looked", func() bool { return l.status().AssessedAt.After(saved.Add(40 * time.Minute)) })
	l.saysAll(saved.Add(40 * time.Minute))
	until(t, "the game shows", func() bool { return len(l.portable()) == 1 })
	f := l.portable()[0]
	if at := l.shown().Facts.Executables.ReadAt; at.After(saved.Add(time.Hour)) {
		t.Errorf("it was found %s after it was saved", at.Sub(saved))
	}
	// It shows product, signer, SHA-256 and the class of its place.
	for _, want := range []string{"Moonshot Racer", "Nobody signed it", "in a Downloads folder", sum} {
		if !strings.Contains(f.Message, want) {
			t.Errorf("the finding has no %q: %s", want, f.Message)
		}
	}
	if f.Subject.Label != "Moonshot Racer" || f.Subject.Key != "downloads:"+sum {
		t.Errorf("the finding is about %+v", f.Subject)
	}
	// No path or user name: in no byte that either program has stored.
	if all := bytes.ToLower(stored(t, w.data, l.state)); bytes.Contains(all, []byte(teacher)) || bytes.Contains(all, []byte(`c:\users`)) || !bytes.Contains(all, []byte("moonshot racer")) {
		t.Error("a path or the teacher's name was stored, or nothing was")
	}

	// The teacher sees it in self-view, by which policy, and when it was last heard.
	for _, want := range []string{
		"What the school can see about this laptop", "number 1", "Last heard by the school: ", "Not met: Portable programs are on the school's list (EXE-03)",
		"Moonshot Racer", "To repair: ", "Nothing is deleted",
	} {
		if !strings.Contains(l.sees(), want) {
			t.Errorf("the teacher does not see %q:\n%s", want, l.sees())
		}
	}
	s3Exemption(t, w, c, l, f)
	w.verified()
}

// s3Exemption asks for an exemption, which needs a reason, a second approver and
// an expiry.
func s3Exemption(t *testing.T, w *world, c *collector, l *laptop, f view.Finding) {
	t.Helper()
	technician, dpo := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)
	at := technician.school() + "/exemptions"
	end := w.clock.Now().Add(20 * 24 * time.Hour)
	wanted := api.NewExemption{
		Scope: breach.Scope{Rule: "EXE-03", Of: breach.OneBreach, Device: posture.DeviceID(l.device), Kind: "executable", Subject: f.Subject.Key},
		Until: end, Reason: "the club uses it until half-term",
	}
	for what, change := range map[string]func(*api.NewExemption){
		"a reason":  func(e *api.NewExemption) { e.Reason = "" },
		"an expiry": func(e *api.NewExemption) { e.Until = time.Time{} },
	} {
		wrong := wanted
		change(&wrong)
		if got := technician.ask(at, wrong, nil); got != http.StatusBadRequest && got != http.StatusConflict {
			t.Errorf("without %s: %d", what, got)
		}
	}
	var asked api.AskedExemption
	if got := dpo.ask(at, wanted, &asked); got != http.StatusCreated {
		t.Fatalf("ask: %d", got)
	}
	agreed := api.NewAnswer{Reason: "agreed"}
	for who, p := range map[string]caller{"who asked": dpo, "a technician": technician} {
		if got := p.ask(at+"/"+asked.ID+"/approval", agreed, nil); got != http.StatusForbidden && got != http.StatusConflict {
			t.Errorf("%s approves: %d", who, got)
		}
	}
	if err := w.do("exemption.decide", collectorapp.ExemptionArguments{Kind: decision.Exempt, ID: asked.ID, Reason: "I am root"}, new(any)); err == nil {
		t.Error("the console approves")
	}
	if got := l.breachOf(f).Status; got == breach.Exempt {
		t.Error("it is exempt before anybody approved")
	}
	if got := w.callerOf(c, "Ada Park", access.Head).ask(at+"/"+asked.ID+"/approval", agreed, nil); got != http.StatusCreated {
		t.Fatalf("the head approves: %d", got)
	}
	w.allShown()
	if got := l.breachOf(f).Status; got != breach.Exempt {
		t.Errorf("approved, the breach is %s", got)
	}
	must(t, l.stop())
	w.clock.Advance(end.Sub(w.clock.Now()) - time.Second)
	if got := l.breachOf(f).Status; got != breach.Exempt {
		t.Errorf("a second before its end the breach is %s", got)
	}
	w.clock.Advance(time.Second)
	if got := l.breachOf(f).Status; got != breach.Open {
		t.Errorf("at its end the breach is %s", got)
	}
}

// TestANameThatIsWithheldIsAskedForOnRecord: a laptop that is its user's own too
// says of a program in its user's folders its hash alone. Its name comes when
// somebody who may asks for it with a reason, and that is recorded, shown to the
// school and to the user.
func TestANameThatIsWithheldIsAskedForOnRecord(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := &laptop{w: w, state: w.dir + "/laptop", machine: openDir(t)}
	l.saves(crafted.Named("Private Matter", "1.0"), crafted.Named("Moonshot Racer", "3.1"))
	token := tokenFor(c.agents)
	token.PersonalUse = true
	id, err := agentapp.Enroll(t.Context(), agentapp.EnrollConfig{
		State: l.state, Token: ask[collectorapp.TokenAnswer](w, "token.create", token).Token,
	}, w.clock)
	must(t, err)
	l.device = string(id.Device)
	l.run()
	until(t, "the report shows", func() bool { return len(l.portable()) == 2 })
	names := func() string {
		var all []string
		for _, f := range l.portable() {
			all = append(all, f.Subject.Label)
		}
		return strings.Join(all, ", ")
	}
	_, sum := game()
	if got := names(); !strings.Contains(got, "unlisted program "+sum[:8]) || strings.Contains(got, "Matter") || strings.Contains(got, "Moonshot") {
		t.Errorf("the programs are %s", got)
	}
	technician, dpo := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)
	at := dpo.school() + "/devices/" + l.device + "/assignments"
	wanted := api.NewAssignment{Telling: decision.Telling{Reveal: sum}, Reason: "is it remote control?"}
	if got := technician.ask(at, wanted, nil); got != http.StatusForbidden {
		t.Errorf("a technician asks: %d", got)
	}
	if got := dpo.ask(at, api.NewAssignment{Telling: wanted.Telling}, nil); got != http.StatusBadRequest {
		t.Errorf("without a reason: %d", got)
	}
	if all := stored(t, w.data); bytes.Contains(all, []byte("Moonshot Racer")) || bytes.Contains(all, []byte("Private Matter")) {
		t.Error("the collector has a name that was withheld")
	}
	if got := dpo.ask(at, wanted, nil); got != http.StatusCreated {
		t.Fatalf("the officer asks: %d", got)
	}
	w.untilPassing(10*time.Second, "the name comes", func() bool { return strings.Contains(names(), "Moonshot Racer") })
	if all := stored(t, w.data); bytes.Contains(all, []byte("Private Matter")) {
		t.Error("the collector has the name of another program")
	}
	var told api.Assignments
	if got := technician.ask(at, nil, &told); got != http.StatusOK || len(told.Assignments) != 2 ||
		told.Assignments[0].By != "Priya Anand" || told.Assignments[0].Reason != "is it remote control?" || told.Assignments[0].Reveal[0] != sum {
		t.Errorf("who asked: %d %+v", got, told)
	}
	if s := l.sees(); !strings.Contains(s, "yours too") || !strings.Contains(s, "Somebody at the school asked for the name of the program with the fingerprint "+sum) {
		t.Errorf("its user does not see it:\n%s", s)
	}
	if err := w.do("device.assign", collectorapp.AssignArguments{Device: l.device, Telling: decision.Telling{Withhold: sum}, Reason: "it was a game"}, new(any)); err != nil {
		t.Errorf("it is withheld again: %v", err)
	}
	w.untilPassing(10*time.Second, "it is withheld again", func() bool { return !strings.Contains(names(), "Moonshot Racer") })
	w.verified()
}
