package policy

import (
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// mostFailures bounds the findings of one rule for programs or executables.
// What is beyond it is one finding without a key.
const mostFailures = 100

// folded reports whether a kind of subject is so numerous that only its
// failures are findings of their own.
func folded(kind string) bool { return kind == "program" || kind == "executable" }

// collate makes the findings of a rule from those of its subjects.
func (r *loadedRule) collate(subjects []subject, judged []posture.Finding) []posture.Finding {
	if r.For == "device" {
		return judged
	}
	merged := mergeSame(judged)
	if folded(r.For) {
		return r.fold(merged)
	}
	return r.each(subjects, merged)
}

// each keeps a finding for every subject, without one for the unknown rest
// where the rule does not cover that, and with one where it covers nothing.
func (r *loadedRule) each(subjects []subject, judged []posture.Finding) []posture.Finding {
	var out []posture.Finding
	covered := false
	for _, f := range judged {
		if f.Result != posture.NotApplicable {
			covered = true
		} else if f.Subject.Key == "" && len(subjects) > 1 {
			continue
		}
		out = append(out, f)
	}
	if covered {
		return out
	}
	if len(subjects) == 0 || r.None != posture.NotApplicable {
		out = append(out, finding(&r.Rule, everything(r.For), verdict{reason: reasonNone, result: r.None}))
	}
	return out
}

// fold keeps the failures, and makes one finding without a key of the rest: not
// met if there are more failures than are kept, not proven if any of it is
// not, met if any of it is met, and otherwise the result for none.
func (r *loadedRule) fold(judged []posture.Finding) []posture.Finding {
	var out []posture.Finding
	rest := finding(&r.Rule, everything(r.For), verdict{reason: reasonNone, result: r.None})
	for _, f := range judged {
		if f.Result == posture.Fail && f.Subject.Key != "" && len(out) < mostFailures {
			out = append(out, f)
			continue
		}
		if f.Result != posture.NotApplicable && rank(f.Result) > rank(rest.Result) || rest.Reason == reasonNone && f.Result == posture.Pass {
			rest = f
		}
	}
	if rest.Reason == reasonNone && rest.Result == posture.NotApplicable && len(judged) > 0 {
		rest.Reason = reasonNotCovered
	}
	rest.Subject = everything(r.For)
	switch {
	case rest.Result == posture.Fail:
		rest.Message = "There are more of these than are listed."
	case rest.Result == posture.Pass && len(out) > 0:
		rest.Message = "Everything else meets this rule."
	default:
		rest.Message = message(&r.Rule, rest.Subject, verdict{
			known: rest.Result == posture.Pass, value: true, reason: rest.Reason, result: rest.Result,
		})
	}
	return append(out, rest)
}

// mergeSame makes one finding of those with the same subject: the worst.
func mergeSame(judged []posture.Finding) []posture.Finding {
	if distinct(judged) {
		return judged
	}
	at := make(map[posture.Subject]int, len(judged))
	var out []posture.Finding
	for _, f := range judged {
		i, seen := at[f.Subject]
		if !seen {
			at[f.Subject] = len(out)
			out = append(out, f)
			continue
		}
		if rank(f.Result) > rank(out[i].Result) {
			out[i] = f
		}
	}
	return slices.Clip(out)
}

// distinct reports whether findings, which are in the order of their subjects'
// keys but for the one about the rest, surely have no subject twice.
func distinct(judged []posture.Finding) bool {
	for i := 1; i < len(judged); i++ {
		last, key := judged[i-1].Subject.Key, judged[i].Subject.Key
		rest := key == "" && i == len(judged)-1 && judged[0].Subject.Key != ""
		if last >= key && !rest {
			return false
		}
	}
	return true
}

// rank orders results by how much they take away from a pass.
func rank(r posture.Result) int {
	switch r {
	case posture.Fail:
		return 5
	case posture.Error:
		return 4
	case posture.Unknown:
		return 3
	case posture.NotChecked:
		return 2
	case posture.Pass:
		return 1
	case posture.NotApplicable:
	}
	return 0
}
