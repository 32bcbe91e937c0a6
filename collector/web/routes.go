package web

import (
	"net/http"
	"slices"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// need says who may have a page.
type need uint8

const (
	anyone   need = iota // without signing in
	halfway              // whoever has taken the first of two steps in signing in
	ownPage              // whoever has signed in, also if they have to change first how they do
	signedIn             // whoever has signed in
	atSchool             // whoever has the route's right at the school in its path
)

// route is one page: where it is, who may have it and what makes it.
type route struct {
	pattern string
	need    need
	right   access.Right // with atSchool
	shows   viewing.What // whose record it shows: it is recorded who looks, before they see it
	serve   func(*site, http.ResponseWriter, *http.Request, visit) error
}

// routes is the table of everything that is served. What is not in it does not
// exist; a row whose need is atSchool must have {school} in its path.
func routes() []route {
	return slices.Concat([]route{
		{"GET /healthz", anyone, "", viewing.Nobody, (*site).healthz},
		{"GET /assets/{set}/{file}", anyone, "", viewing.Nobody, (*site).asset},
		{"GET /what-is-collected", anyone, "", viewing.Nobody, (*site).collected},
		{"GET /report/{address}", anyone, "", viewing.Nobody, (*site).reportPage},
		{"POST /report/{address}", anyone, "", viewing.Nobody, (*site).report},
		{"GET /report/{address}/{reference}", anyone, "", viewing.Nobody, (*site).reportTaken},
		{"GET /sign-in", anyone, "", viewing.Nobody, (*site).signInPage},
		{"POST /sign-in", anyone, "", viewing.Nobody, (*site).signIn},

		{"POST /sign-in/passkey", anyone, "", viewing.Nobody, (*site).signInByPasskey},
		{"GET /sign-in/recover", anyone, "", viewing.Nobody, (*site).recoverPage},
		{"POST /sign-in/recover", anyone, "", viewing.Nobody, (*site).recover},
		{"GET /sign-in/with/{provider}", anyone, "", viewing.Nobody, (*site).signOn},
		{"GET /sign-in/with/{provider}/back", anyone, "", viewing.Nobody, (*site).signedOn},
		{"GET /sign-in/second", halfway, "", viewing.Nobody, (*site).secondPage},
		{"POST /sign-in/second", halfway, "", viewing.Nobody, (*site).second},

		{"POST /sign-out", ownPage, "", viewing.Nobody, (*site).signOut},
		{"GET /account", ownPage, "", viewing.Nobody, (*site).accountPage},
		{"GET /account/password", ownPage, "", viewing.Nobody, (*site).passwordPage},
		{"POST /account/password", ownPage, "", viewing.Nobody, (*site).changePassword},
		{"GET /account/authenticator", ownPage, "", viewing.Nobody, (*site).authenticatorPage},
		{"POST /account/authenticator", ownPage, "", viewing.Nobody, (*site).setAuthenticator},
		{"POST /account/authenticator/remove", ownPage, "", viewing.Nobody, (*site).removeAuthenticator},
		{"GET /account/passkey", ownPage, "", viewing.Nobody, (*site).passkeyPage},
		{"POST /account/passkey", ownPage, "", viewing.Nobody, (*site).addPasskey},
		{"POST /account/passkey/remove", ownPage, "", viewing.Nobody, (*site).removePasskey},
		{"POST /account/codes", ownPage, "", viewing.Nobody, (*site).newCodes},
		{"GET /account/sign-on/{provider}", ownPage, "", viewing.Nobody, (*site).linkSignOn},
		{"POST /account/sign-on/remove", ownPage, "", viewing.Nobody, (*site).unlinkSignOn},
		{"POST /account/sessions/end", ownPage, "", viewing.Nobody, (*site).endSession},

		{"GET /{$}", signedIn, "", viewing.Nobody, (*site).schools},
		{"GET /schools/{school}/what-is-collected", atSchool, access.ReadPrivacy, viewing.Nobody, (*site).collected},
		{"GET /schools/{school}/mine", atSchool, access.ReadOwn, viewing.Nobody, (*site).mine},

		{"GET /schools/{school}", atSchool, access.ReadDevices, viewing.Nobody, (*site).overview},
		{"GET /schools/{school}/changes", atSchool, access.ReadDevices, viewing.Nobody, (*site).changes},
		{"GET /schools/{school}/devices", atSchool, access.ReadDevices, viewing.Devices, (*site).devices},
		{"GET /schools/{school}/devices.csv", atSchool, access.ReadDevices, viewing.Devices, (*site).deviceTable},
		{"GET /schools/{school}/devices/{device}", atSchool, access.ReadDevices, viewing.Device, (*site).device},
		{"POST /schools/{school}/devices/{device}/assessment", atSchool, access.DecideBreaches, viewing.Device, (*site).assess},
		{"GET /schools/{school}/devices/{device}/programs", atSchool, access.ReadDevices, viewing.Device, (*site).programs},
		{"GET /schools/{school}/devices/{device}/revocation", atSchool, access.AdmitDevices, viewing.Device, (*site).revocation},
		{"POST /schools/{school}/devices/{device}/revocation", atSchool, access.AdmitDevices, viewing.Device, (*site).revoke},
		{"GET /schools/{school}/enrolments", atSchool, access.ReadDevices, viewing.Devices, (*site).enrolments},
		{"GET /schools/{school}/enrolments/waiting", atSchool, access.ReadDevices, viewing.Devices, (*site).waiting},
		{"POST /schools/{school}/enrolments/waiting", atSchool, access.AdmitDevices, viewing.Devices, (*site).decideWaiting},
		{"POST /schools/{school}/enrolments/renewals/{device}", atSchool, access.AdmitDevices, viewing.Devices, (*site).approveRenewal},
		{"POST /schools/{school}/enrolments/apart/{device}/{key}/name", atSchool, access.AdmitDevices, viewing.Devices, tellApart(true)},
		{"POST /schools/{school}/enrolments/apart/{device}/{key}/own", atSchool, access.AdmitDevices, viewing.Devices, tellApart(false)},
		{"POST /schools/{school}/enrolments/same/{device}/{earlier}/confirmation", atSchool, access.AdmitDevices, viewing.Devices, answerSame(admission.SameHardware)},
		{"POST /schools/{school}/enrolments/same/{device}/{earlier}/refusal", atSchool, access.AdmitDevices, viewing.Devices, answerSame(admission.OtherHardware)},
		{"GET /schools/{school}/breaches", atSchool, access.ReadDevices, viewing.Breaches, (*site).breaches},
		{"GET /schools/{school}/devices/{device}/evidence", atSchool, access.ReadEvidence, viewing.Evidence, (*site).deviceEvidence},
		{"GET /schools/{school}/devices/{device}/evidence/file", atSchool, access.ReadEvidence, viewing.Evidence, (*site).deviceEvidenceFile},
		{"GET /schools/{school}/devices/{device}/rules/{rule}", atSchool, access.ReadDevices, viewing.Device, (*site).matter},
		{"POST /schools/{school}/devices/{device}/rules/{rule}/acknowledgement", atSchool, access.DecideBreaches, viewing.Device, decideBreach(decision.Acknowledge)},
		{"POST /schools/{school}/devices/{device}/rules/{rule}/resolution", atSchool, access.DecideBreaches, viewing.Device, decideBreach(decision.Resolve)},
		{"POST /schools/{school}/devices/{device}/rules/{rule}/exemption", atSchool, access.AskExemptions, viewing.Device, (*site).askExemption},
		{"GET /schools/{school}/exemptions", atSchool, access.ReadDevices, viewing.Exemptions, (*site).exemptions},
		{"POST /schools/{school}/exemptions/{exemption}/approval", atSchool, access.ApproveExemptions, viewing.Exemptions, answerExemption(decision.Exempt)},
		{"POST /schools/{school}/exemptions/{exemption}/refusal", atSchool, access.AskExemptions, viewing.Exemptions, answerExemption(decision.RefuseExemption)},
		{"POST /schools/{school}/exemptions/{exemption}/end", atSchool, access.AskExemptions, viewing.Exemptions, answerExemption(decision.EndExemption)},
		{"GET /schools/{school}/incidents", atSchool, access.ReadIncidents, viewing.Incidents, (*site).incidents},
		{"POST /schools/{school}/incidents", atSchool, access.RecordIncidents, viewing.Incidents, (*site).openIncident},
		{"GET /schools/{school}/incidents/reports", atSchool, access.ReadIncidents, viewing.Incidents, (*site).concerns},
		{"GET /schools/{school}/incidents/reports/{reference}", atSchool, access.ReadIncidents, viewing.Incidents, (*site).concern},
		{"POST /schools/{school}/incidents/reports/aside", atSchool, access.RecordIncidents, viewing.Incidents, (*site).setAside},
		{"GET /schools/{school}/incidents/address", atSchool, access.ReadIncidents, viewing.Nobody, (*site).concernAddress},
		{"POST /schools/{school}/incidents/address", atSchool, access.RenewAddress, viewing.Nobody, (*site).renewAddress},
		{"GET /schools/{school}/incidents/poster", atSchool, access.ReadIncidents, viewing.Nobody, (*site).poster},
		{"GET /schools/{school}/incidents/{incident}", atSchool, access.ReadIncidents, viewing.Incident, (*site).incident},
		{"POST /schools/{school}/incidents/{incident}/notes", atSchool, access.RecordIncidents, viewing.Incident, changeIncident(readNote)},
		{"POST /schools/{school}/incidents/{incident}/found", atSchool, access.RecordIncidents, viewing.Incident, changeIncident(readFound)},
		{"POST /schools/{school}/incidents/{incident}/telling", atSchool, access.DecideIncidents, viewing.Incident, changeIncident(readTelling)},
		{"POST /schools/{school}/incidents/{incident}/end", atSchool, access.DecideIncidents, viewing.Incident, changeIncident(readClosing)},
		{"GET /schools/{school}/restricted", atSchool, access.BeSenior, viewing.Nobody, (*site).confided},
		{"POST /schools/{school}/restricted", atSchool, access.BeSenior, viewing.Nobody, (*site).listConfided},
		{"POST /schools/{school}/restricted/key", atSchool, access.BeSenior, viewing.Nobody, (*site).makeKey},
		{"GET /schools/{school}/restricted/open", atSchool, access.BeSenior, viewing.Nobody, (*site).openingForm},
		{"POST /schools/{school}/restricted/open", atSchool, access.BeSenior, viewing.Nobody, (*site).openConfided},
		{"GET /schools/{school}/restricted/{case}", atSchool, access.BeSenior, viewing.Nobody, (*site).confidedCase},
		{"POST /schools/{school}/restricted/{case}", atSchool, access.BeSenior, viewing.Nobody, (*site).showCase},
		{"GET /schools/{school}/restricted/{case}/{deed}", atSchool, access.BeSenior, viewing.Nobody, (*site).confidedDeed},
		{"POST /schools/{school}/restricted/{case}/{deed}", atSchool, access.BeSenior, viewing.Nobody, (*site).actConfided},
		{"GET /schools/{school}/evidence", atSchool, access.ReadEvidence, viewing.Devices, (*site).ask},
		{"GET /schools/{school}/evidence/school", atSchool, access.ReadEvidence, viewing.Position, (*site).schoolEvidence},
		{"GET /schools/{school}/evidence/school/file", atSchool, access.ReadEvidence, viewing.Position, (*site).schoolEvidenceFile},
		{"GET /schools/{school}/rules/{rule}", atSchool, access.ReadDevices, viewing.Breaches, (*site).rule},
		{"GET /schools/{school}/trends", atSchool, access.ReadTrends, viewing.Nobody, (*site).trends},
		{"GET /schools/{school}/trends/rules/{rule}", atSchool, access.ReadTrends, viewing.Nobody, (*site).ruleTrend},
		{"GET /schools/{school}/trends/months/{month}", atSchool, access.ReadTrends, viewing.Nobody, (*site).month},
		{"GET /schools/{school}/trends/changes", atSchool, access.ReadDevices, viewing.Breaches, (*site).changedSince},
		{"GET /schools/{school}/terms", atSchool, access.ReadTerms, viewing.Nobody, (*site).terms},
		{"GET /schools/{school}/terms/{term}", atSchool, access.ReadTerms, viewing.Nobody, (*site).term},
		{"GET /schools/{school}/terms/{term}/file", atSchool, access.ReadTerms, viewing.Nobody, (*site).termFile},
		{"POST /schools/{school}/terms/{term}/reports", atSchool, access.MakeTerms, viewing.Nobody, (*site).makeTerm},
		{"POST /schools/{school}/terms/{term}/signatures/head", atSchool, access.SignAsHead, viewing.Nobody, signTerm(access.Head)},
		{"POST /schools/{school}/terms/{term}/signatures/business-manager", atSchool, access.SignAsBusiness, viewing.Nobody, signTerm(access.Business)},
		{"GET /schools/{school}/years/{year}", atSchool, access.ReadTerms, viewing.Nobody, (*site).year},
		{"GET /schools/{school}/years/{year}/file", atSchool, access.ReadTerms, viewing.Nobody, (*site).yearFile},
		{"POST /schools/{school}/years/{year}/reports", atSchool, access.MakeTerms, viewing.Nobody, (*site).makeYear},
		{"POST /schools/{school}/years/{year}/signatures/head", atSchool, access.SignAsHead, viewing.Nobody, signYear(access.Head)},
		{"POST /schools/{school}/years/{year}/signatures/dpo", atSchool, access.SignAsOfficer, viewing.Nobody, signYear(access.DPO)},

		{"GET /schools/{school}/privacy/views", atSchool, access.ReadLooks, viewing.Looks, (*site).views},
		{"GET /schools/{school}/privacy/views.csv", atSchool, access.ReadLooks, viewing.Looks, (*site).viewTable},

		{"GET /schools/{school}/privacy", atSchool, access.ReadPrivacy, viewing.Nobody, (*site).privacy},
		{"GET /schools/{school}/privacy/notice", atSchool, access.ReadPrivacy, viewing.Nobody, showDocument("notice")},
		{"GET /schools/{school}/privacy/notice/file", atSchool, access.ReadPrivacy, viewing.Nobody, documentFile("notice")},
		{"GET /schools/{school}/privacy/processing", atSchool, access.ReadProcessing, viewing.Nobody, showDocument("processing")},
		{"GET /schools/{school}/privacy/processing/file", atSchool, access.ReadProcessing, viewing.Nobody, documentFile("processing")},
		{"GET /schools/{school}/privacy/assessment", atSchool, access.ReadProcessing, viewing.Nobody, showDocument("assessment")},
		{"GET /schools/{school}/privacy/assessment/file", atSchool, access.ReadProcessing, viewing.Nobody, documentFile("assessment")},
		{"GET /schools/{school}/privacy/processors", atSchool, access.ReadProcessing, viewing.Nobody, showDocument("processors")},
		{"GET /schools/{school}/privacy/processors/file", atSchool, access.ReadProcessing, viewing.Nobody, documentFile("processors")},
		{"GET /schools/{school}/privacy/requests", atSchool, access.RecordRequests, viewing.Requests, (*site).requests},
		{"POST /schools/{school}/privacy/requests", atSchool, access.RecordRequests, viewing.Requests, (*site).receiveRequest},
		{"GET /schools/{school}/privacy/requests/{person}", atSchool, access.RecordRequests, viewing.Person, (*site).request},
		{"POST /schools/{school}/privacy/requests/{person}/changes", atSchool, access.AnswerRequests, viewing.Person, (*site).changeRequest},
		{"POST /schools/{school}/privacy/requests/{person}/exports", atSchool, access.AnswerRequests, viewing.Person, (*site).makeExport},
		{"GET /schools/{school}/privacy/requests/{person}/export", atSchool, access.AnswerRequests, viewing.Person, (*site).export},
		{"GET /schools/{school}/privacy/requests/{person}/export/file", atSchool, access.AnswerRequests, viewing.Person, (*site).exportFile},

		{"GET /schools/{school}/settings/updates", atSchool, access.ReadSettings, viewing.Nobody, (*site).updates},
		{"POST /schools/{school}/settings/updates", atSchool, access.OfferReleases, viewing.Nobody, (*site).offerRelease},
		{"GET /schools/{school}/settings/particulars", atSchool, access.SetParticulars, viewing.Nobody, (*site).particulars},
		{"POST /schools/{school}/settings/particulars", atSchool, access.SetParticulars, viewing.Nobody, (*site).setParticulars},
	}, disputeRoutes(), policyRoutes(), trustRoutes(), registerRoutes(), settingRoutes())
}
