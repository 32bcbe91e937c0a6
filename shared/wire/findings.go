package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// maxGrace is the longest grace that a finding may state.
const maxGrace = 10 * 366 * 24 * time.Hour

// errTooMany is returned for findings that exceed their bounds.
var errTooMany = errors.New("there are more findings than a report can carry")

func encodeFindings(b *budget, _ posture.Facts, findings []posture.Finding) (proto.Message, time.Time, bool, error) {
	s := &pb.FindingsSection{}
	for i, f := range findings {
		m, err := encodeFinding(f)
		if err != nil {
			return nil, time.Time{}, false, fmt.Errorf("finding %d: %w", i, err)
		}
		if !b.take(proto.Size(m)) {
			return nil, time.Time{}, false, fmt.Errorf("%d findings: %w", len(findings), errTooMany)
		}
		s.Items = append(s.Items, m)
	}
	return s, time.Time{}, true, nil
}

func decodeFindings(m proto.Message, _ time.Time, _ *posture.Facts, into *[]posture.Finding) error {
	var findings []posture.Finding
	for i, item := range m.(*pb.FindingsSection).GetItems() {
		f, err := decodeFinding(item)
		if err != nil {
			return fmt.Errorf("finding %d: %w", i, err)
		}
		findings = append(findings, f)
	}
	*into = findings
	return nil
}

func encodeFinding(f posture.Finding) (*pb.Finding, error) {
	if f.Grace < 0 || f.Grace > maxGrace {
		return nil, fmt.Errorf("a grace of %s is not between 0 and %s", f.Grace, maxGrace)
	}
	return &pb.Finding{
		Rule:         key(f.Rule, maxWord),
		SubjectKind:  key(f.Subject.Kind, maxWord),
		SubjectKey:   key(f.Subject.Key, maxName),
		SubjectLabel: Visible(f.Subject.Label, maxName),
		Result:       f.Result.String(),
		Severity:     f.Severity.String(),
		GraceSeconds: int64(f.Grace / time.Second),
		Reason:       key(f.Reason, maxWord),
		Message:      Visible(f.Message, maxText),
	}, nil
}

func decodeFinding(m *pb.Finding) (posture.Finding, error) {
	f := posture.Finding{
		Rule: key(m.GetRule(), maxWord),
		Subject: posture.Subject{
			Kind:  key(m.GetSubjectKind(), maxWord),
			Key:   key(m.GetSubjectKey(), maxName),
			Label: Visible(m.GetSubjectLabel(), maxName),
		},
		Reason:  key(m.GetReason(), maxWord),
		Message: Visible(m.GetMessage(), maxText),
	}
	if s := m.GetGraceSeconds(); s < 0 || s > int64(maxGrace/time.Second) {
		return posture.Finding{}, fmt.Errorf("a grace of %d seconds is not between 0 and %s", s, maxGrace)
	}
	f.Grace = time.Duration(m.GetGraceSeconds()) * time.Second
	return f, errors.Join(f.Result.UnmarshalText([]byte(m.GetResult())), f.Severity.UnmarshalText([]byte(m.GetSeverity())))
}
