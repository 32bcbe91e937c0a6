package decision

import (
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/dispute"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Dispute is that somebody says of a recorded fact that it is wrong, or what the
// school answered. The change itself is in a section of its own, which is kept as
// long as the ledger. What was written is in another, and who wrote it in the
// decision: both can be forgotten, and evidence shows the words alone.
const Dispute Kind = "dispute"

// checkDispute is Check for a dispute.
func (d Decision) checkDispute() error {
	if d.Breach != (breach.Key{}) || d.Exemption != nil || d.Policy != nil || d.Person != "" {
		return errors.New("a decision about a dispute is about nothing else")
	}
	if d.Dispute == nil {
		return nil
	}
	return d.Dispute.Check()
}

// DisputeSections returns the sections of the entry that records that a fact is
// disputed, or the answer. The words stand in one of them, and are not the
// decision's reason. The salts are random.
func DisputeSections(d Decision, c dispute.Change, words string, salts [3][proof.SaltSize]byte) ([]proof.Section, error) {
	if d.Kind != Dispute || (d.Dispute != nil) != (c.What == dispute.Raise) {
		return nil, fmt.Errorf("a dispute is recorded by a decision of its own kind, and by whom it is if it is raised, not %.40q", string(d.Kind))
	}
	change, err := dispute.Encode(c)
	if err != nil {
		return nil, err
	}
	text, err := dispute.EncodeWords(words)
	if err != nil {
		return nil, err
	}
	section, err := Encode(d, salts[2])
	if err != nil {
		return nil, err
	}
	return []proof.Section{
		{Name: dispute.Section, Class: proof.Kept, Salt: salts[0], Body: change},
		{Name: dispute.SectionWords, Class: proof.People, Salt: salts[1], Body: text},
		section,
	}, nil
}

// NewDispute returns the decision of somebody who disputes a fact, or answers:
// told is nil of an answer.
func NewDispute(c dispute.Change, told *dispute.Told, by string, at time.Time) Decision {
	return Decision{Kind: Dispute, By: by, At: at, Reason: disputeReasons[c.What], Dispute: told}
}

// disputeReasons is what stands as the reason, whose words are in a section apart.
var disputeReasons = map[dispute.What]string{
	dispute.Raise: "says that a recorded fact is wrong", dispute.Answer: "answers what was said to be wrong",
}
