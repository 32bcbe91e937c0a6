package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// ofGroups is a policy of which one rule is for a group and one for a class.
const ofGroups = `name: hollybank
title: Rules for groups and classes
rules:
  - id: LAB-01
    title: System disk encrypted in the science lab
    for: volume
    when: '"Science lab" in device.groups && volume.role == "system"'
    require: volume.encryption == "full"
    severity: high
    classes: [SS, SM, AU]
    clauses: [C2]
    met: The {subject} is encrypted.
    notMet: The {subject} is not encrypted.
    remediation: Encrypt it.
  - id: SHR-01
    title: Firewall on shared laptops
    require: facts.security.firewall
    severity: medium
    classes: [SM]
    clauses: [C12]
    met: The firewall is on.
    notMet: The firewall is off.
    remediation: Turn it on.
`

// enrolledBy is laptop for a token of some class and groups.
func (w *world) enrolledBy(name, machine string, token collectorapp.TokenArguments) *laptop {
	w.t.Helper()
	made := ask[collectorapp.TokenAnswer](w, "token.create", token)
	l := w.newMachine(name, machine)
	id, err := agentapp.Enroll(w.t.Context(), agentapp.EnrollConfig{State: l.state, Token: made.Token}, w.clock)
	must(w.t, err)
	l.device = string(id.Device)
	l.run()
	return l
}

// lab is how a laptop breaches the rule of the lab.
func (l *laptop) lab() view.Breach {
	for _, b := range l.shown().Breaches {
		if b.Rule == "LAB-01" {
			return b
		}
	}
	return view.Breach{}
}

// TestAGroupChoosesItsRules: a laptop is enrolled straight into a class and a
// group, another is put there later, and each is judged by the rules that are for
// them. An exemption for the group covers who is in it, and nobody who has left.
func TestAGroupChoosesItsRules(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	token := tokenFor(c.agents)
	token.Groups, token.Ownership = []string{"Science lab"}, posture.SchoolMultiUser
	lab := w.enrolledBy("lab", "plain-laptop", token)
	office := w.laptop("office", "plain-laptop", c.agents)
	until(t, "both have reported", func() bool { return lab.shown().LastReport > 0 && office.shown().LastReport > 0 })
	if p := w.previewed(collectorapp.PreviewArguments{File: "groups.yaml", Source: []byte(ofGroups)}); !slices.ContainsFunc(p.Rules, func(r view.PreviewRule) bool {
		return r.Rule == "LAB-01" && r.After.NotMet == 1 && r.Opens == 1
	}) {
		t.Errorf("the preview of a rule for a group: %+v", p.Rules)
	}
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "groups.yaml", Source: []byte(ofGroups)})
	until(t, "the rules of the group judge", func() bool { return lab.shown().Policy == 1 && office.shown().Policy == 1 })
	if d := lab.shown(); standing(d, "LAB-01") != view.NotMet || standing(d, "SHR-01") != view.Met || d.Ownership != posture.SchoolMultiUser || !slices.Equal(d.Groups, []string{"Science lab"}) || d.PolicyDue != 0 {
		t.Errorf("in the lab: %s, %s, %+v", standing(d, "LAB-01"), standing(d, "SHR-01"), d.Device)
	}
	if d := office.shown(); standing(d, "LAB-01") != view.NotFor || standing(d, "SHR-01") != view.NotFor || len(d.Groups) != 0 {
		t.Errorf("in the office: %s, %s", standing(d, "LAB-01"), standing(d, "SHR-01"))
	}

	// Somebody who may puts the other there; what belongs to a person is no class.
	technician, dpo := w.callerOf(c, "Morgan Ellis", access.Technician), w.callerOf(c, "Priya Anand", access.DPO)
	at := "/schools/" + string(w.only())
	into := api.NewGrouping{Class: posture.SchoolMultiUser, Add: []string{"Science lab"}, Reason: "it moved to the lab"}
	if got := dpo.ask(at+"/devices/"+office.device+"/groups", into, nil); got != http.StatusForbidden {
		t.Errorf("a data-protection officer chose a group: %d", got)
	}
	if got := technician.ask(at+"/devices/"+office.device+"/groups", api.NewGrouping{Class: posture.StaffOwned, Reason: "x"}, nil); got != http.StatusBadRequest {
		t.Errorf("a laptop became a teacher's own: %d", got)
	}
	var recorded api.Recorded
	if got := technician.ask(at+"/devices/"+office.device+"/groups", into, &recorded); got != http.StatusCreated {
		t.Fatalf("into the group: %d", got)
	}
	if got := technician.ask(at+"/devices/"+office.device+"/groups", into, nil); got != http.StatusConflict {
		t.Errorf("into the group twice: %d", got)
	}
	until(t, "the other is judged by the group's rules", func() bool { return office.lab().Status == breach.Open })
	if d := office.shown(); standing(d, "SHR-01") != view.Met || d.Ownership != posture.SchoolMultiUser {
		t.Errorf("of the other class: %s, %s", standing(d, "SHR-01"), d.Ownership)
	}
	var groups api.Groups
	if got := technician.ask(at+"/groups", nil, &groups); got != http.StatusOK || len(groups.Groups) != 1 || len(groups.Groups[0].Devices) != 2 {
		t.Errorf("the groups: %d %+v", got, groups)
	}

	// An exemption for the group.
	asked := ask[collectorapp.ExemptionAnswer](w, "exemption.ask", collectorapp.AskExemptionArguments{
		Rule: "LAB-01", Group: "Science lab", Until: monday.Add(10 * 24 * time.Hour), Reason: "new disks are ordered for the lab",
	})
	ask[collectorapp.ExemptionAnswer](w, "exemption.decide", collectorapp.ExemptionArguments{Kind: "exempt", ID: asked.ID, Reason: "until they come", Key: dpo.key})
	until(t, "both are exempt", func() bool { return lab.lab().Status == breach.Exempt && office.lab().Status == breach.Exempt })

	// One leaves, by a list and while it is switched off: it is not excused any more.
	must(t, lab.stop())
	list := func(lines string) error {
		return w.do("group.import", collectorapp.GroupArguments{File: "groups.csv", Source: []byte("device,groups\n" + lines), Reason: "the new year"}, new(collectorapp.GroupAnswer))
	}
	before := len(w.entries())
	if err := list(lab.device + ",\nhb-lt-999,Choir\n"); err == nil || !strings.Contains(err.Error(), "groups.csv:3:1:") || len(w.entries()) != before {
		t.Errorf("a list with a fault: %v", err)
	}
	must(t, list(lab.device+",\n"))
	until(t, "who has left is not exempt", func() bool { return lab.lab().Status == breach.Open })
	if b := office.lab(); b.Status != breach.Exempt {
		t.Errorf("who has stayed is %s", b.Status)
	}
	ask[collectorapp.GroupAnswer](w, "group.add", collectorapp.GroupArguments{Devices: []string{lab.device}, Add: []string{"Science lab"}, Reason: "back again"})
	until(t, "who has come back is exempt", func() bool { return lab.lab().Status == breach.Exempt })
	ask[collectorapp.GroupAnswer](w, "group.remove", collectorapp.GroupArguments{Devices: []string{lab.device}, Remove: []string{"Science lab"}, Reason: "not after all"})
	until(t, "who has left again is not", func() bool { return lab.lab().Status == breach.Open })

	// It is switched on and told: the rule is not for it any more. While it was off,
	// another policy came, and it shows that it has not taken it.
	ask[collectorapp.PublishAnswer](w, "policy.publish", collectorapp.PublishArguments{File: "groups.yaml", Source: []byte(strings.Replace(ofGroups, "severity: medium", "severity: low", 1))})
	until(t, "the other has taken it", func() bool { return office.shown().Policy == 2 && office.shown().PolicyDue == 0 })
	if d := lab.shown(); d.Policy != 1 || d.PolicyDue != 2 {
		t.Errorf("it was off, and shows policy %d, due %d", d.Policy, d.PolicyDue)
	}
	lab.run()
	until(t, "it has taken what it missed", func() bool {
		d := lab.shown()
		return d.Policy == 2 && d.PolicyDue == 0 && standing(d, "LAB-01") == view.NotFor
	})

	shown := func() (out []string) {
		for _, l := range []*laptop{lab, office} {
			d := l.shown()
			out = append(out, string(d.Ownership), strings.Join(d.Groups, ","), string(standing(d, "LAB-01")), l.lab().Status.String())
		}
		return out
	}
	must(t, lab.stop())
	must(t, office.stop())
	follows := shown()
	ask[collectorapp.RebuildAnswer](w, "view.rebuild", struct{}{})
	if again := shown(); !slices.Equal(again, follows) {
		t.Errorf("rebuilt it is %v and was %v", again, follows)
	}
	w.verified()
}
