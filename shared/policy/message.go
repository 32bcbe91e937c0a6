package policy

import (
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// SubjectMark stands for the subject's label in a rule's words.
const SubjectMark = "{subject}"

// message puts a verdict in plain words. What is not proven says why, in the
// same words for every rule.
func message(r *Rule, s posture.Subject, v verdict) string {
	if v.known && v.value {
		return sentence(r.Met, s)
	}
	if v.known {
		return sentence(r.NotMet, s)
	}
	if v.result == posture.Pass {
		return sentence(r.Met, s)
	}
	switch v.reason {
	case reasonNotAsked:
		if r.Side == AtSchool {
			return "Not proven: the school does not record this yet."
		}
		return "Not proven: this agent does not check it."
	case "denied":
		return "Not proven: the system refused to show it."
	case "timed-out":
		return "Not proven: the system did not answer in time."
	case "unreadable":
		return "Not proven: the system's answer could not be understood."
	case "unsupported":
		return "Not proven: this system has no way to tell."
	case "not-visible":
		return "Not proven: it cannot be seen while the person who uses it is not signed in."
	case reasonStale:
		return "Not proven: what is known is too old."
	case reasonClock:
		return "Not proven: the device's clock is not to be trusted."
	case reasonIncomplete:
		return "Not proven: a part of it could not be read."
	case reasonNotCovered:
		return "This rule does not apply here."
	case reasonNone:
		if v.result == posture.NotApplicable {
			return "This rule does not apply: there are none."
		}
		return "Not proven: nothing was found that this rule is about."
	case reasonCost:
		return "Not proven: judging it took too much work."
	default:
		return "Not proven: the rule could not be evaluated."
	}
}

// sentence puts the subject into a rule's words and begins with a capital.
func sentence(words string, s posture.Subject) string {
	out := strings.ReplaceAll(words, SubjectMark, s.Label)
	if strings.HasPrefix(words, SubjectMark) && out != "" && out[0] >= 'a' && out[0] <= 'z' {
		out = strings.ToUpper(out[:1]) + out[1:]
	}
	return out
}
