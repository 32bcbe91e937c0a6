package web

import (
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// settingRoutes are the pages about how a school is set up.
func settingRoutes() []route {
	const at = " /schools/{school}/settings"
	return []route{
		{"GET" + at, atSchool, access.ReadSettings, viewing.Nobody, (*site).settings},
		{"GET" + at + "/set-up", atSchool, access.ReadSettings, viewing.Nobody, (*site).setUp},
		{"GET" + at + "/people", atSchool, access.ReadSignIns, viewing.SignIns, (*site).people},
		{"POST" + at + "/people", atSchool, access.KeepAccounts, viewing.SignIns, (*site).invite},
		{"GET" + at + "/people/{account}", atSchool, access.ReadSignIns, viewing.SignIns, (*site).onePerson},
		{"POST" + at + "/people/{account}/roles", atSchool, access.KeepAccounts, viewing.SignIns, (*site).giveRole},
		{"POST" + at + "/people/{account}/roles/end", atSchool, access.KeepAccounts, viewing.SignIns, (*site).takeRole},
		{"POST" + at + "/people/{account}/removal", atSchool, access.KeepAccounts, viewing.SignIns, (*site).removePerson},
		{"POST" + at + "/people/let-in", atSchool, access.HelpPeople, viewing.SignIns, (*site).letIn},
		{"POST" + at + "/people/sign-out", atSchool, access.HelpPeople, viewing.SignIns, (*site).signOutOther},
		{"GET" + at + "/sign-in-changes", atSchool, access.ReadSignIns, viewing.SignIns, (*site).signInChanges},
		{"GET" + at + "/keys", atSchool, access.MakeKeys, viewing.Nobody, (*site).keys},
		{"POST" + at + "/keys", atSchool, access.MakeKeys, viewing.Nobody, (*site).makeProgramKey},
		{"POST" + at + "/keys/{key}/end", atSchool, access.MakeKeys, viewing.Nobody, (*site).endKey},
		{"GET" + at + "/tokens", atSchool, access.AdmitDevices, viewing.Nobody, (*site).tokens},
		{"POST" + at + "/tokens", atSchool, access.AdmitDevices, viewing.Nobody, (*site).makeToken},
		{"POST" + at + "/tokens/{token}/end", atSchool, access.AdmitDevices, viewing.Nobody, (*site).endToken},
		{"GET" + at + "/calendar", atSchool, access.ReadDevices, viewing.Nobody, (*site).calendar},
		{"POST" + at + "/calendar", atSchool, access.SetCalendar, viewing.Nobody, (*site).setCalendar},
		{"POST" + at + "/calendar/closed-day", atSchool, access.SetCalendar, viewing.Nobody, (*site).closeDay},
		{"GET" + at + "/retention", atSchool, access.ReadDevices, viewing.Nobody, (*site).retention},
		{"POST" + at + "/retention", atSchool, access.SetRetention, viewing.Nobody, (*site).setRetention},
		{"GET" + at + "/notices", atSchool, access.ReadNotices, viewing.Nobody, (*site).told},
		{"POST" + at + "/notices", atSchool, access.SetNotices, viewing.Nobody, (*site).addTold},
		{"POST" + at + "/notices/server", atSchool, access.SetNotices, viewing.Nobody, (*site).setServer},
		{"POST" + at + "/notices/{notice}/test", atSchool, access.SetNotices, viewing.Nobody, (*site).testTold},
		{"POST" + at + "/notices/{notice}/end", atSchool, access.SetNotices, viewing.Nobody, (*site).endTold},
		{"GET" + at + "/health", atSchool, access.ReadSettings, viewing.Nobody, (*site).health},
	}
}
