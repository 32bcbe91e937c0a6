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
	Senior        Role = "senior"           // of the school's leadership, such as a deputy head or the safeguarding lead
	// NetworkManager keeps what a trust asks of its schools. It decides about no
	// breach: those are the school's.
	NetworkManager Role = "network-manager"
)

// Roles lists every role.
func Roles() []Role {
	return []Role{Administrator, Technician, DPO, Head, Governor, Staff, Business, Senior, NetworkManager}
}

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
	// ReadNotices is to read who is told of breaches, and whether that works.
	ReadNotices Right = "read about notices"
	// ReadRegister is to read what the school keeps about its devices and media,
	// and which role has them.
	ReadRegister Right = "read the register"
	// ReadHolders is to read who that is by name, where somebody is named.
	ReadHolders Right = "read who has a device"
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
	// ReadOwn is to read where the laptop stands that the register says one has.
	ReadOwn Right = "read about one's own laptop"
	// RenewAddress is to give the school another address at which people report
	// without signing in.
	RenewAddress Right = "renew the address for reports"
	// BeSenior is to be named for restricted incidents, and to have a key for them.
	BeSenior Right = "be a senior of restricted incidents"
	// RevealNames is to have a device that is its user's own too tell the name of
	// a program, and to say whether it is.
	RevealNames Right = "ask for withheld names"
	// AdmitDevices is to decide about enrolments: with which tokens laptops enrol,
	// whose late renewal is approved, which two are one laptop, and who is known no
	// more.
	AdmitDevices Right = "admit devices"
	// ReadLicences is to read what was bought of programs, and what is installed.
	ReadLicences Right = "read licences"
	// SetRetention is to say how long the school keeps what.
	SetRetention Right = "say how long things are kept"
	// SignLicences is to sign for a term that the two were compared.
	SignLicences Right = "sign for licences"
	// HelpPeople is to let another person in again who lost what they sign in
	// with, and to sign them out.
	HelpPeople Right = "let people back in"
	// ReadSignIns is to read what was changed about how people sign in.
	ReadSignIns Right = "read about sign-in"
	// KeepAccounts is to say who may sign in at a school, and as what.
	KeepAccounts Right = "say who may sign in"
	// MakeKeys is to have keys by which a program does what one may do oneself.
	MakeKeys Right = "have keys for programs"
	// ReadSettings is to read how a school is set up, and how well the collector is.
	ReadSettings Right = "read how the school is set up"
	// SetNotices is to say who is told of what, and how.
	SetNotices Right = "say who is told"
	// KeepBaseline is to say what no school of a trust may ask less than, and to
	// allow that one does for a time.
	KeepBaseline Right = "keep the trust's baseline"
	// GroupDevices is to say of which class and groups a device is, by which its
	// rules are chosen.
	GroupDevices Right = "choose classes and groups of devices"
	// ReadTrends is to read counts of a school's devices over time, however small.
	ReadTrends Right = "read trends"
	// ReadTerms is to read the reports of terms that head and business manager
	// have signed.
	ReadTerms Right = "read signed reports of terms"
	// ReadTermDrafts is to read those that wait for a signature too.
	ReadTermDrafts Right = "read reports of terms"
	// MakeTerms is to have the report of a term made.
	MakeTerms Right = "make the report of a term"
	// SignAsHead and SignAsBusiness are to sign it in that role.
	SignAsHead     Right = "sign reports of terms as head"
	SignAsBusiness Right = "sign reports of terms as business manager"
	// SignAsOfficer is to sign the report of a year beside the head, who signs those
	// of terms too.
	SignAsOfficer Right = "sign reports of years as data-protection officer"
	// ReadPrivacy is to read what the school tells everybody whose data it keeps:
	// its privacy notice, and who answers for data protection.
	ReadPrivacy Right = "read about privacy"
	// ReadLooks is to read who looked at whose record.
	ReadLooks Right = "read who looked"
	// ReadProcessing is to read the school's own records of its processing: what is
	// held where and why, and the assessment of its impact.
	ReadProcessing Right = "read records of processing"
	// RecordRequests is to record that somebody asks what is kept about them, and to
	// see by when that is to be answered.
	RecordRequests Right = "record requests of people"
	// AnswerRequests is to have gathered what is kept about somebody, to read it, and
	// to record what became of their request.
	AnswerRequests Right = "answer requests of people"
	// DisputeFacts is to record that somebody says of a recorded fact that it is
	// wrong, and to read what was said so. Of their own laptop everybody may.
	DisputeFacts Right = "say that a recorded fact is wrong"
	// AnswerDisputes is to answer that: upheld, with what was done, or not.
	AnswerDisputes Right = "answer what is disputed"
	// OfferReleases is to say which laptops are offered a new version of the agent.
	OfferReleases Right = "offer new versions of the agent"
	// SetParticulars is to say who the school is for data protection.
	SetParticulars Right = "say who answers for data protection"
)

// rights is the table of which role may do what. What is not in it may not be
// done.
var rights = map[Right][]Role{
	ReadDevices:    {Administrator, Technician, DPO, Head, NetworkManager},
	DecideBreaches: {Administrator, Technician},
	AskExemptions:  {Administrator, Technician, DPO, Head},
	// Not the administrator, who has the console too: one person would be two.
	ApproveExemptions: {DPO, Head},

	SetCalendar:   {Administrator, Head},
	DraftPolicy:   {Administrator, Technician},
	ApprovePolicy: {Administrator, Head},
	SetRetention:  {Administrator, Head},
	ReadEvidence:  {Administrator, Technician, DPO, Head},
	ReadNotices:   {Administrator, Technician, DPO, Head},
	ReadRegister:  {Administrator, Technician, DPO, Head, Business, NetworkManager},
	ReadHolders:   {Administrator, Technician, DPO, Head},
	KeepRegister:  {Administrator, Technician},
	SignRegister:  {Administrator, Technician, Head, DPO, Business},

	AdmitDevices:    {Administrator, Technician},
	ReadIncidents:   {Administrator, Technician, DPO, Head},
	RecordIncidents: {Administrator, Technician, DPO, Head},
	DecideIncidents: {DPO, Head},
	RenewAddress:    {Administrator, Head},
	ReadOwn:         Roles(),
	// Not the administrator, nor the technician: what is restricted may be about them.
	BeSenior:     {DPO, Head, Governor, Senior},
	ReadLicences: {Administrator, Technician, DPO, Head, Business},
	SignLicences: {Administrator, Head, Business},
	RevealNames:  {DPO, Head},

	HelpPeople:  {Administrator, Head},
	ReadSignIns: {Administrator, Head, DPO},

	KeepAccounts: {Administrator},
	MakeKeys:     {Administrator, Technician, DPO, Head},
	ReadSettings: {Administrator, Technician, DPO, Head},
	SetNotices:   {Administrator},

	KeepBaseline: {NetworkManager},
	GroupDevices: {Administrator, Technician},

	ReadTrends:     {Administrator, Technician, DPO, Head, NetworkManager, Business, Senior},
	ReadTerms:      {Administrator, Technician, DPO, Head, Business, Governor},
	ReadTermDrafts: {Administrator, Technician, DPO, Head, Business},
	MakeTerms:      {Administrator, Technician, Head, Business},
	SignAsHead:     {Head},
	SignAsBusiness: {Business},
	SignAsOfficer:  {DPO},

	ReadPrivacy:    {Administrator, Technician, DPO, Head, Governor, Staff, Business, Senior, NetworkManager},
	SetParticulars: {Administrator, DPO, Head},
	OfferReleases:  {Administrator, Technician},
	ReadProcessing: {Administrator, Technician, DPO, Head, Governor, Business},
	RecordRequests: {DPO, Head},
	// One role alone: all that is known about a person in one place is for few, and
	// never for those who look after the laptops.
	AnswerRequests: {DPO},
	DisputeFacts:   {Administrator, Technician, DPO, Head},
	// Not the technician, nor the administrator: it is their record that is disputed.
	AnswerDisputes: {DPO, Head},
	// Not the administrator, nor the technician: it is they who are looked after.
	ReadLooks: {DPO, Head},
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
