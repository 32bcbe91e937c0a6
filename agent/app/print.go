package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// moment is how times are written for people: with day and zone.
const moment = "Mon 2 Jan 2006 15:04 MST"

// standing says in the words of the pages how a result stands.
func standing(r posture.Result) string {
	switch r {
	case posture.Pass:
		return "Met"
	case posture.Fail:
		return "Not met"
	case posture.NotApplicable:
		return "Not applicable"
	default:
		return "Not proven"
	}
}

// PrintReport writes an assessment as a table for people: what is not met and
// what is not proven with the reason and the repair, then what is met, then
// the facts.
func PrintReport(w io.Writer, r posture.Report, p *policy.Policy) {
	device := "this machine"
	if len(r.Facts.System.Items) == 1 {
		s := r.Facts.System.Items[0]
		device = s.Hostname + ", " + text(s.OSName) + ", " + text(s.Chassis)
	}
	number := fmt.Sprintf("policy %d", p.Number)
	if p.Number == 0 {
		number = "the baseline that comes with the agent"
	}
	fmt.Fprintf(w, "%s\nJudged by %q (%s) on %s.\n", device, p.Title, number, r.MadeAt.Format(moment))
	rules := map[string]policy.Rule{}
	for _, rule := range p.Rules {
		rules[rule.ID] = rule
	}
	for _, s := range []string{"Not met", "Not proven", "Met", "Not applicable"} {
		printFindings(w, s, r.Findings, rules)
	}
	printWithheld(w, r.Facts)
	printFacts(w, r.Facts)
}

// printWithheld says what macOS keeps from the agent, and how it is let in.
func printWithheld(w io.Writer, f posture.Facts) {
	list := probe.WantsFullDiskAccess(f)
	if len(list) == 0 {
		return
	}
	fmt.Fprint(w, "\nWithheld by macOS until the agent has Full Disk Access\n")
	for _, what := range list {
		fmt.Fprintf(w, "  %s\n", what)
	}
	fmt.Fprintln(w, "  To give it: System Settings, Privacy & Security, Full Disk Access; or the profile that comes with the installer.")
}

func printFindings(w io.Writer, s string, findings []posture.Finding, rules map[string]policy.Rule) {
	head := false
	for _, f := range findings {
		if standing(f.Result) != s {
			continue
		}
		if !head {
			fmt.Fprintf(w, "\n%s\n", s)
			head = true
		}
		rule := rules[f.Rule]
		fmt.Fprintf(w, "  %-7s %s", f.Rule, rule.Title)
		if f.Subject.Label != "" {
			fmt.Fprintf(w, ": %s", f.Subject.Label)
		}
		fmt.Fprintln(w)
		if s == "Met" || s == "Not applicable" {
			continue
		}
		fmt.Fprintf(w, "          %s\n", f.Message)
		if s == "Not met" && rule.Remediation != "" {
			fmt.Fprintf(w, "          To repair: %s\n", strings.TrimSpace(rule.Remediation))
		}
	}
}

func printFacts(w io.Writer, f posture.Facts) {
	fmt.Fprintf(w, "\nFacts\n")
	answer(w, "Volumes", f.Volumes, func(v posture.Volume) string {
		return fmt.Sprintf("%s %s %s, %s, encryption %s %s", v.Role, v.Mount, text(v.Filesystem), size(v.Capacity), text(v.Encryption), text(v.Method))
	})
	answer(w, "Antivirus", f.Antivirus, func(a posture.Antivirus) string {
		return fmt.Sprintf("%s %s, on: %s, real-time: %s, definitions of %s", a.Name, text(a.Version), text(a.On), text(a.RealTime), when(a.DefinitionsAt))
	})
	answer(w, "Media attached", f.Media, func(m posture.Medium) string {
		return fmt.Sprintf("%s %s %s, %s, encryption %s", m.Bus, m.Vendor, m.Product, size(m.Capacity), text(m.Encryption))
	})
	answer(w, "Media log", f.MediaEvents, func(e posture.MediumEvent) string {
		return fmt.Sprintf("%s %s %s %s %s", e.At.Format(moment), e.Action, e.Bus, e.Vendor, e.Product)
	})
	counted(w, "Programs", f.Programs)
	answer(w, "Executables", f.Executables, func(e posture.Executable) string {
		return fmt.Sprintf("%s in %s: %s %s %.16s", e.Format, e.Location, text(e.Product), text(e.Version), text(e.SHA256))
	})
	answer(w, "Scripts", f.Scripts, func(t posture.Tally) string { return fmt.Sprintf("%d %s in %s", t.Count, t.Format, t.Location) })
	if f.Security.Absent != posture.None || len(f.Security.Items) == 0 {
		counted(w, "Security", f.Security)
		return
	}
	printSecurity(w, f.Security.Items[0])
}

func printSecurity(w io.Writer, s posture.Security) {
	for _, line := range []struct{ name, value string }{
		{"System supported", text(s.OSSupported)},
		{"Support ends", when(s.OSSupportEnds)},
		{"Updates waiting", text(s.UpdatesPending)},
		{"Security updates waiting", text(s.UpdatesImportant)},
		{"Updates last asked for", when(s.UpdatesCheckedAt)},
		{"Restart due", text(s.RebootDue)},
		{"Firewall", text(s.Firewall)},
		{"Screen lock", text(s.ScreenLock)},
		{"Screen locks after (s)", text(s.ScreenLockAfter)},
		{"Passwords set", text(s.PasswordSet)},
		{"Signs in by itself", text(s.AutoLogon)},
		{"Starts programs on media", text(s.AutoRun)},
		{"Daily user administers", text(s.DailyUserAdmin)},
		{"Administrators", text(s.Administrators)},
		{"Open detections", text(s.OpenDetections)},
		{"Secure Boot", text(s.SecureBoot)},
		{"TPM", text(s.TPM)},
	} {
		fmt.Fprintf(w, "  %-26s %s\n", line.name, line.value)
	}
}

// answer prints the items of an answer, or why there are none.
func answer[T any](w io.Writer, name string, a posture.Answer[T], line func(T) string) {
	counted(w, name, a)
	for _, item := range a.Items {
		fmt.Fprintf(w, "    %s\n", strings.Join(strings.Fields(line(item)), " "))
	}
}

// counted prints how many items an answer has, where from, and what it leaves
// out.
func counted[T any](w io.Writer, name string, a posture.Answer[T]) {
	if a.Absent != posture.None {
		fmt.Fprintf(w, "  %-26s not known: %s\n", name, a.Absent)
		return
	}
	fmt.Fprintf(w, "  %-26s %d (from %s)\n", name, len(a.Items), a.Source)
	for _, g := range a.Gaps {
		fmt.Fprintf(w, "    and not known from %s: %s\n", g.Source, g.Absent)
	}
}

func text[T any](r posture.Reading[T]) string {
	if !r.Known() {
		return "not known (" + r.Absent.String() + ")"
	}
	switch v := any(r.Value).(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	default:
		return fmt.Sprint(v)
	}
}

func when(r posture.Reading[time.Time]) string {
	switch {
	case !r.Known():
		return text(r)
	case r.Value.IsZero():
		return "none"
	}
	return r.Value.Format(moment)
}

func size(r posture.Reading[int64]) string {
	if !r.Known() {
		return "size " + text(r)
	}
	if r.Value < 1e9 {
		return fmt.Sprintf("%d MB", r.Value/1e6)
	}
	return fmt.Sprintf("%d GB", r.Value/1e9)
}
