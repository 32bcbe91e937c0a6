package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Role is what a person does at a school.
type Role string

// The roles.
const (
	Administrator Role = "administrator"
	Technician    Role = "technician"
	DPO           Role = "dpo" // data-protection officer
	Head          Role = "head"
	Governor      Role = "governor"
	Staff         Role = "staff"
	Business      Role = "business-manager" // answers for what was bought
)

// Roles lists every role.
func Roles() []Role { return []Role{Administrator, Technician, DPO, Head, Governor, Staff, Business} }

// ParseRole returns the role of that name.
func ParseRole(name string) (Role, error) {
	if slices.Contains(Roles(), Role(name)) {
		return Role(name), nil
	}
	names := make([]string, 0, len(Roles()))
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("%q is not a role: the roles are %s", name, strings.Join(names, ", "))
}

// Right is one kind of thing that a page may show or let a person do.
type Right string

// The rights.
const (
	// ReadDevices is to read what is known about named devices.
	ReadDevices Right = "read devices"
	// DecideBreaches is to say that somebody is on a breach, or that it is
	// settled.
	DecideBreaches Right = "decide about breaches"
	// AskExemptions is to ask for permission to fail a rule for a time, and to
	// give it back before its end.
	AskExemptions Right = "ask for exemptions"
	// ApproveExemptions is to approve or refuse what another asked for.
	ApproveExemptions Right = "approve exemptions"
	// SetCalendar is to say when the school is open.
	SetCalendar Right = "set the term calendar"
	// DraftPolicy is to propose a text as the school's policy, and to publish one
	// that may be published.
	DraftPolicy Right = "draft a policy"
	// ApprovePolicy is to approve what another has drafted, and to say how many
	// people that takes.
	ApprovePolicy Right = "approve a policy"
	// ReadEvidence is to have evidence made about a named device.
	ReadEvidence Right = "have evidence made"
	// KeepRegister is to record what the school keeps about its devices and
	// media: who has them, and what became of them.
	KeepRegister Right = "keep the register"
	// SignRegister is to give one of the two signatures that close a leaver's
	// checklist.
	SignRegister Right = "sign for the register"
	// ReadIncidents is to read what was recorded about incidents.
	ReadIncidents Right = "read incidents"
	// RecordIncidents is to open an incident, and to record what becomes known
	// about it.
	RecordIncidents Right = "record incidents"
	// DecideIncidents is to decide whether the regulator and the individuals are
	// told, to correct what the deadline follows from, and to close an incident.
	DecideIncidents Right = "decide about incidents"
	// ReadLicences is to read what was bought of programs, and what is installed.
	ReadLicences Right = "read licences"
	// SignLicences is to sign for a term that the two were compared.
	SignLicences Right = "sign for licences"
)

// rights is the table of which role may do what. What is not in it may not be
// done.
var rights = map[Right][]Role{
	ReadDevices:    {Administrator, Technician, DPO, Head},
	DecideBreaches: {Administrator, Technician},
	AskExemptions:  {Administrator, Technician, DPO, Head},
	// Not the administrator, who has the console too: one person would be two.
	ApproveExemptions: {DPO, Head},

	SetCalendar:   {Administrator, Head},
	DraftPolicy:   {Administrator, Technician},
	ApprovePolicy: {Administrator, Head},
	ReadEvidence:  {Administrator, Technician, DPO, Head},
	KeepRegister:  {Administrator, Technician},
	SignRegister:  {Administrator, Technician, Head, DPO, Business},

	ReadIncidents:   {Administrator, Technician, DPO, Head},
	RecordIncidents: {Administrator, Technician, DPO, Head},
	DecideIncidents: {DPO, Head},
	ReadLicences:    {Administrator, Technician, DPO, Head, Business},
	SignLicences:    {Administrator, Head, Business},
}

// May reports whether the role has the right.
func (r Role) May(right Right) bool { return slices.Contains(rights[right], r) }

// EverySchool stands for all schools of this collector in a grant.
const EverySchool posture.SchoolID = "*"

// Grant is a role at a school.
type Grant struct {
	School posture.SchoolID `json:"school"` // or EverySchool
	Role   Role             `json:"role"`
}

// Belongs reports whether the account has any role at the school.
func (a Account) Belongs(school posture.SchoolID) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.covers(school) })
}

// Everywhere reports whether the account has a role at every school.
func (a Account) Everywhere() bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.School == EverySchool })
}

// May reports whether the account has the right at the school.
func (a Account) May(school posture.SchoolID, right Right) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.covers(school) && g.Role.May(right) })
}

func (g Grant) covers(school posture.SchoolID) bool {
	return school != "" && (g.School == school || g.School == EverySchool)
}
