package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// waiters keeps who waits at Hollybank, and what is decided of them.
type waiters struct {
	*school
	more  int // that wait beside the four
	done  []string
	whats []admission.What
	// untied is why 9TWC-4HAD is no asset once it is admitted.
	untied string
}

// oddName is the name of a laptop that hopes to be more than a name.
const oddName = "<script>alert(1)</script>\u202e=cmd|' /C calc'!A0"

func waitersOf(q Queries) *waiters {
	s, ok := q.(*school)
	if !ok {
		return &waiters{school: &school{}}
	}
	if s.waiters == nil {
		s.waiters = &waiters{school: s}
	}
	return s.waiters
}

func (a *waiters) Pending(_ context.Context, id posture.SchoolID) ([]admission.Pending, error) {
	if id != hollybank {
		return nil, a.fail
	}
	const why = "this token admits a laptop when somebody has approved it"
	ends := now.Add(13 * 24 * time.Hour)
	list := []admission.Pending{
		{Code: "KF7Q-M2XP", Token: deskToken, Platform: posture.Windows, Hostname: "hb-lt-031", Manufacturer: "Classbook", Model: "14 G3", AgentVersion: "v1", Why: why, Asset: "HB-LT-031", Asked: now.Add(-40 * time.Minute), Last: now.Add(-time.Minute), Ends: ends},
		{Code: "9TWC-4HAD", Token: deskToken, Platform: posture.Linux, Hostname: oddName, Model: "<b>", Why: why, Asked: now.Add(-30 * time.Minute), Ends: ends},
		{Code: "B2B2-C3C3", Token: "00ff00ff00ff00ff", Platform: posture.MacOS, Why: why, Asked: now.Add(-20 * time.Minute), Ends: ends},
		{Code: "ZZZZ-9999", Token: deskToken, Platform: posture.Windows, Hostname: "somebodys-own", Asked: now.Add(-9 * time.Hour), Ends: ends, Refused: now.Add(-8 * time.Hour), RefusedFor: "it is not the school's <i>"},
	}
	for n := range a.more {
		list = append(list, admission.Pending{
			Code: fmt.Sprintf("AAAA-%s", strings.NewReplacer("0", "X", "1", "Y").Replace(fmt.Sprintf("%04d", n))), Token: deskToken, Platform: posture.Windows, Hostname: fmt.Sprintf("hb-tr-%03d", n),
			Manufacturer: "Classbook", Model: "14 G3", Why: why, Asked: now.Add(-time.Duration(n) * time.Second), Ends: ends,
		})
	}
	return slices.DeleteFunc(list, func(p admission.Pending) bool { return slices.Contains(a.done, p.Code) }), a.fail
}

func (a *waiters) DecidePending(_ context.Context, _ posture.SchoolID, d decision.Decision, what admission.What, codes []string) ([]admission.Decided, error) {
	if d.Reason == "refuse this" {
		return nil, &decision.RefusedError{Why: "the school's record cannot be written at present"}
	}
	a.decided = append(a.decided, d)
	var done []admission.Decided
	for _, code := range codes {
		one := admission.Decided{Code: code, Entry: 7}
		if code == "QQQQ-2222" {
			one = admission.Decided{Code: code, Why: "no laptop with this code waits"}
		} else {
			if code == "9TWC-4HAD" {
				one.Untied = a.untied
			}
			a.done, a.whats = append(a.done, code), append(a.whats, what)
		}
		done = append(done, one)
	}
	return done, nil
}
