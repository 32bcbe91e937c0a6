package projection

import (
	"context"
	"fmt"

	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Facts reads the facts of devices back from the ledgers, for the view.
type Facts struct {
	ledgers map[posture.SchoolID]Source
}

// NewFacts returns what view.Options.Facts needs.
func NewFacts(schools []School) *Facts {
	f := &Facts{ledgers: map[posture.SchoolID]Source{}}
	for _, s := range schools {
		f.ledgers[s.ID] = s.Ledger
	}
	return f
}

// Facts implements view.FactSource.
func (f *Facts) Facts(ctx context.Context, school posture.SchoolID, places []view.Place) (posture.Facts, []posture.Finding, error) {
	source, ok := f.ledgers[school]
	if !ok {
		return posture.Facts{}, nil, fmt.Errorf("no ledger of school %s is open", school)
	}
	x := &examined{question: question{places: places}, source: source}
	made := &memory{}
	err := x.read(ctx, made, nil)
	return made.facts, x.findings, err
}
