package app

import (
	"fmt"
	"io"
	"strings"
)

// printSelf writes what the school can see about this laptop, for whoever sits at
// it.
func printSelf(w io.Writer, s Status) {
	if !s.Enrolled {
		return
	}
	fmt.Fprintf(w, "\nWhat the school can see about this laptop\n")
	if s.Self == nil {
		fmt.Fprintf(w, "  Nothing yet: it was not assessed since the agent was installed.\n")
		return
	}
	v := s.Self
	number := fmt.Sprintf("number %d", s.Policy)
	if s.Policy == 0 {
		number = "which comes with the agent"
	}
	fmt.Fprintf(w, "  Judged by the policy %q, %s, on %s. Last heard by the school: %s.\n", v.Policy, number, orNever(s.AssessedAt), orNever(s.ReportedAt))
	for _, l := range v.Lines {
		fmt.Fprintf(w, "  - %s: %s (%s)\n    %s\n", choose(l.Proven, "Not met", "Not proven"), l.Title, l.Rule, l.Words)
		if remedy := strings.TrimSpace(l.Remedy); remedy != "" {
			fmt.Fprintf(w, "    To repair: %s\n", remedy)
		}
	}
	if v.More > 0 {
		fmt.Fprintf(w, "  - and %d more\n", v.More)
	}
	fmt.Fprintf(w, "  Rules that are met: %d.\n", v.Met)
	if v.PersonalUse {
		fmt.Fprintf(w, "  This laptop is yours too: programs in your folders are reported by their fingerprint, without their names.\n")
		for _, sum := range v.Revealed {
			fmt.Fprintf(w, "  Somebody at the school asked for the name of the program with the fingerprint %s, and that is recorded.\n", sum)
		}
	}
	fmt.Fprintf(w, "  Nothing is deleted, changed or blocked. Whatever is wrong, ask the school's technician.\n")
}
