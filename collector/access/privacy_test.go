package access

import "testing"

// TestWhoMayDoWhatAboutPrivacy says it role by role: everybody may read what the
// school tells of itself, and few may say it.
func TestWhoMayDoWhatAboutPrivacy(t *testing.T) {
	processing := map[Role]bool{Administrator: true, Technician: true, DPO: true, Head: true, Governor: true, Business: true}
	says := map[Role]bool{Administrator: true, DPO: true, Head: true}
	for _, role := range Roles() {
		if !role.May(ReadPrivacy) {
			t.Errorf("%s may not read what is told to everybody", role)
		}
		if role.May(ReadProcessing) != processing[role] {
			t.Errorf("%s reads the records of processing: %v", role, role.May(ReadProcessing))
		}
		if role.May(AnswerRequests) != (role == DPO) || role.May(RecordRequests) != (role == DPO || role == Head) {
			t.Errorf("%s answers requests of people: %v, and records them: %v", role, role.May(AnswerRequests), role.May(RecordRequests))
		}
		if role.May(SetParticulars) != says[role] {
			t.Errorf("%s says who answers for data protection: %v", role, role.May(SetParticulars))
		}
	}
}

// TestWhoReadsWhoLooked: those who monitor are themselves monitored, and not by
// themselves.
func TestWhoReadsWhoLooked(t *testing.T) {
	for _, role := range Roles() {
		if want := role == DPO || role == Head; role.May(ReadLooks) != want {
			t.Errorf("%s reads who looked: %v", role, !want)
		}
	}
}
