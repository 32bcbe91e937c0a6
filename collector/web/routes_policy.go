package web

import (
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// policyRoutes are the pages of a school's policy.
func policyRoutes() []route {
	const at = " /schools/{school}/policy"
	return []route{
		{"GET" + at, atSchool, access.ReadDevices, viewing.Nobody, (*site).policy},
		{"POST" + at + "/approvers", atSchool, access.ApprovePolicy, viewing.Nobody, (*site).setApprovers},
		{"GET" + at + "/versions", atSchool, access.ReadDevices, viewing.Nobody, (*site).policyVersions},
		{"GET" + at + "/versions/{number}", atSchool, access.ReadDevices, viewing.Nobody, (*site).policyVersion},
		{"GET" + at + "/versions/{number}/file", atSchool, access.ReadDevices, viewing.Nobody, (*site).policyFile},
		{"POST" + at + "/versions/{number}/rollback", atSchool, access.DraftPolicy, viewing.Nobody, (*site).rollBack},
		{"GET" + at + "/compare", atSchool, access.ReadDevices, viewing.Nobody, (*site).comparePolicies},
		{"GET" + at + "/choose", atSchool, access.DraftPolicy, viewing.Nobody, (*site).choosePolicy},
		{"POST" + at + "/choose", atSchool, access.DraftPolicy, viewing.Nobody, (*site).chosenPolicy},
		{"GET" + at + "/text", atSchool, access.DraftPolicy, viewing.Nobody, (*site).policyText},
		{"POST" + at + "/text", atSchool, access.DraftPolicy, viewing.Nobody, (*site).typedPolicy},
		{"GET" + at + "/drafts/{draft}", atSchool, access.ReadDevices, viewing.Nobody, (*site).policyDraft},
		{"GET" + at + "/drafts/{draft}/file", atSchool, access.ReadDevices, viewing.Nobody, (*site).draftFile},
		{"POST" + at + "/drafts/{draft}/approval", atSchool, access.ApprovePolicy, viewing.Nobody, decideDraft(decision.ApprovePolicy)},
		{"POST" + at + "/drafts/{draft}/withdrawal", atSchool, access.DraftPolicy, viewing.Nobody, decideDraft(decision.WithdrawPolicy)},
		{"POST" + at + "/drafts/{draft}/publication", atSchool, access.DraftPolicy, viewing.Nobody, (*site).publishDraft},
		{"POST" + at + "/previews", atSchool, access.ReadDevices, viewing.Nobody, (*site).tryPolicy},
		{"GET" + at + "/previews/{preview}", atSchool, access.ReadDevices, viewing.Breaches, (*site).policyTrial},
		{"GET" + at + "/previews/{preview}/changes", atSchool, access.ReadDevices, viewing.Nobody, (*site).trialChanges},
		{"POST" + at + "/previews/{preview}/end", atSchool, access.ReadDevices, viewing.Nobody, (*site).stopTrial},
		{"GET" + at + "/groups", atSchool, access.ReadDevices, viewing.Devices, (*site).groups},
		{"GET /schools/{school}/devices/{device}/policy", atSchool, access.ReadDevices, viewing.Device, (*site).devicePolicy},
		{"POST /schools/{school}/devices/{device}/groups", atSchool, access.GroupDevices, viewing.Device, (*site).groupDevice},
		{"POST /schools/{school}/rules/{rule}/exemption", atSchool, access.AskExemptions, viewing.Nobody, (*site).askForRule},
	}
}

// trustRoutes are the pages of trusts: who has a say in one is asked by each page,
// for a trust is no school.
func trustRoutes() []route {
	return []route{
		{"GET /trusts", signedIn, "", viewing.Nobody, (*site).trusts},
		{"GET /trusts/{trust}", signedIn, "", viewing.Nobody, (*site).trust},
		{"GET /trusts/{trust}/schools.csv", signedIn, "", viewing.Nobody, (*site).trustTable},
		{"GET /trusts/{trust}/text", signedIn, "", viewing.Nobody, (*site).baselineText},
		{"POST /trusts/{trust}/text", signedIn, "", viewing.Nobody, (*site).typedBaseline},
		{"GET /trusts/{trust}/choose", signedIn, "", viewing.Nobody, (*site).chooseBaseline},
		{"POST /trusts/{trust}/choose", signedIn, "", viewing.Nobody, (*site).chosenBaseline},
		{"POST /trusts/{trust}/allowances", signedIn, "", viewing.Nobody, (*site).allowAtSchools},
		{"GET /rules", signedIn, "", viewing.Nobody, (*site).matrix},
		{"GET /rules.csv", signedIn, "", viewing.Nobody, (*site).matrixTable},
		{"GET /schools/{school}/baseline", atSchool, access.ReadDevices, viewing.Nobody, (*site).heldTo},
		{"POST /schools/{school}/baseline/allowances", atSchool, access.KeepBaseline, viewing.Nobody, (*site).allowLooser},
		{"POST /schools/{school}/baseline/allowances/end", atSchool, access.KeepBaseline, viewing.Nobody, (*site).endLooser},
		{"POST /schools/{school}/baseline/membership", atSchool, access.KeepBaseline, viewing.Nobody, (*site).membership},
	}
}
