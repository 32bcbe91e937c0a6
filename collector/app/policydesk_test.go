package app

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/clock/clocktest"
)

// policiesAt opens a school that has put some texts in force, by a clock that is driven.
func policiesAt(t *testing.T, texts ...string) (policyDesk, *school, *clocktest.Driven) {
	t.Helper()
	data := t.TempDir()
	do[InitAnswer](t, data, "init", InitArguments{School: "Hollybank Primary School"})
	for _, text := range texts {
		do[PublishAnswer](t, data, "policy.publish", PublishArguments{File: "own.yaml", Source: []byte(text), Reason: "agreed"})
	}
	clk := clocktest.NewDriven(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC))
	c, err := open(t.Context(), data, false, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c.catchUp(t.Context())
	s, err := c.school("")
	if err != nil {
		t.Fatal(err)
	}
	return policyDesk{c}, s, clk
}

func but(t *testing.T, pairs ...string) string {
	t.Helper()
	_, source, err := rulebook.Baseline()
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the shipped policy does not say %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// TestARuleAsksWhatItAsksSinceTheVersionThatChangedIt: by its own words or by a
// parameter that it reads; and again since the version that changed it back.
func TestARuleAsksWhatItAsksSinceTheVersionThatChangedIt(t *testing.T) {
	longer := but(t, "updatesWithin: 14d", "updatesWithin: 20d")
	d, s, _ := policiesAt(t, but(t), longer, strings.Replace(longer, "title: Firewall is on", "title: The firewall is on", 1), but(t))
	for number, want := range map[uint64]map[string]uint64{
		1: {"PAT-02": 0, "CFG-01": 0, "ENC-01": 0}, // as shipped
		2: {"PAT-02": 2, "CFG-01": 0, "ENC-01": 0},
		3: {"PAT-02": 2, "CFG-01": 3, "ENC-01": 0},
		4: {"PAT-02": 4, "CFG-01": 4, "ENC-01": 0},
		0: {"PAT-02": 4, "CFG-01": 4, "ENC-01": 0}, // the one in force
	} {
		text, err := d.Policy(t.Context(), s.ID, number)
		if err != nil {
			t.Fatalf("policy %d: %v", number, err)
		}
		for rule, since := range want {
			if got := text.Rules[rule]; got.Since != since || got.Unsure {
				t.Errorf("policy %d: %s asks what it asks since %d, want %d", number, rule, got.Since, since)
			}
		}
	}
	if _, err := d.Policy(t.Context(), s.ID, 9); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("a policy that there is not: %v", err)
	}
	life, err := d.Life(t.Context(), s.ID, time.Now())
	if err != nil || life.Number != 4 || len(life.Versions) != 4 || life.Versions[0].Number != 4 || life.Versions[0].How == nil || life.Approvers != 1 {
		t.Errorf("its life is %+v: %v", life, err)
	}
	if changes, err := d.Differ(t.Context(), s.ID, 1, 4); err != nil || len(changes) != 0 {
		t.Errorf("from 1 to 4: %+v, %v", changes, err)
	}
}

// TestAFormsTextIsAmendedAndWeighed: what is wrong is of the text that would be, and
// says where.
func TestAFormsTextIsAmendedAndWeighed(t *testing.T) {
	d, s, _ := policiesAt(t)
	source := []byte(but(t))
	amended, err := d.Amend(source, web.PolicyAmendment{Parameters: map[string]string{"media": "ban"}, Graces: map[string]string{"ENC-03": "9d"}})
	if err != nil {
		t.Fatal(err)
	}
	weighed, err := d.Weigh(t.Context(), s.ID, amended)
	if err != nil || len(weighed.Changes) != 2 || len(weighed.Looser) != 1 || weighed.Looser[0] != "ENC-03" || weighed.MaxAge != 7*24*time.Hour {
		t.Errorf("it weighs %+v: %v", weighed, err)
	}
	_, err = d.Amend(source, web.PolicyAmendment{Graces: map[string]string{"ENC-03": "7 school days"}})
	unsound, ok := errors.AsType[*web.UnsoundPolicyError](err)
	if !ok || unsound.Faults[0].Where != "rule ENC-03, grace" {
		t.Errorf("a grace that may not pause: %v", err)
	}
	if _, err := d.Weigh(t.Context(), s.ID, []byte("name: [")); !errors.As(err, &unsound) {
		t.Errorf("no policy is weighed: %v", err)
	}
}

// TestPreviewsOfPagesWaitAndAreForgotten: one is made after the other; too many are
// refused; one that is given up is not made; no other school finds one; and what they
// found is forgotten after an hour.
func TestPreviewsOfPagesWaitAndAreForgotten(t *testing.T) {
	d, s, clk := policiesAt(t)
	try := func() (string, error) {
		return d.Try(t.Context(), s.ID, web.PolicyTrial{Source: []byte(but(t)), By: "technician"})
	}
	var ids []string
	for range trialWaits {
		id, err := try()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if _, err := try(); err == nil {
		t.Error("more wait than may")
	} else if _, refused := errors.AsType[*decision.RefusedError](err); !refused {
		t.Errorf("one too many: %v", err)
	}
	if _, err := d.Try(t.Context(), s.ID, web.PolicyTrial{Source: []byte("name: x\n")}); err == nil {
		t.Error("what is no policy waits")
	}
	d.StopTrial("another", ids[1])
	if one, err := d.Trial(s.ID, ids[1]); err != nil || one.Ended {
		t.Errorf("another school gave it up: %+v, %v", one, err)
	}
	d.StopTrial(s.ID, ids[1])
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.makeTrials(ctx) }()
	for {
		one, err := d.Trial(s.ID, ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if one.Ended {
			if one.Failed != "" || one.Found == nil || one.By != "technician" {
				t.Errorf("the preview ended as %+v", one)
			}
			break
		}
		runtime.Gosched() // whoever makes it goes on
	}
	if one, err := d.Trial(s.ID, ids[1]); err != nil || one.Failed != "it was given up" || one.Found != nil {
		t.Errorf("what was given up is %+v, %v", one, err)
	}
	if _, err := d.Trial("another", ids[0]); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("another school finds a preview: %v", err)
	}
	clk.Advance(trialsForgo)
	if _, err := d.Trial(s.ID, ids[0]); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("after an hour it is still there: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
