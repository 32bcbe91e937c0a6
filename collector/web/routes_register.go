package web

import (
	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/viewing"
)

// registerRoutes are the pages about what the school itself keeps.
func registerRoutes() []route {
	const at = "/schools/{school}/register"
	const asset, medium, licence = at + "/assets/{asset}", at + "/media/{medium}", at + "/licences/{product}"
	const devices = "/schools/{school}/devices"
	return []route{
		{"GET " + devices + "/sheet", atSchool, access.ReadDevices, viewing.Devices, (*site).sheet},
		{"POST " + devices + "/columns", atSchool, access.ReadDevices, viewing.Nobody, (*site).keepColumns},
		{"POST " + devices + "/views", atSchool, access.ReadDevices, viewing.Devices, (*site).saveView},
		{"POST " + devices + "/views/remove", atSchool, access.ReadDevices, viewing.Nobody, (*site).removeView},
		{"GET " + at, atSchool, access.ReadRegister, viewing.Register, (*site).register},
		{"GET " + at + "/not-registered", atSchool, access.ReadDevices, viewing.Devices, (*site).unregistered},
		{"GET " + at + "/new", atSchool, access.KeepRegister, viewing.Nobody, (*site).newAsset},
		{"POST " + at + "/new", atSchool, access.KeepRegister, viewing.Nobody, (*site).addAsset},
		{"GET " + at + "/import", atSchool, access.KeepRegister, viewing.Nobody, (*site).importForm},
		{"POST " + at + "/import", atSchool, access.KeepRegister, viewing.Nobody, (*site).tryImport},
		{"POST " + at + "/import/record", atSchool, access.KeepRegister, viewing.Nobody, (*site).recordImport},
		{"POST " + at + "/lists-last", atSchool, access.KeepRegister, viewing.Nobody, (*site).setListsLast},
		{"GET " + at + "/leavers", atSchool, access.SignRegister, viewing.Register, (*site).leavers},
		{"GET " + asset, atSchool, access.ReadRegister, viewing.Asset, (*site).assetPage},
		{"GET " + asset + "/allocation", atSchool, access.KeepRegister, viewing.Asset, (*site).allocation},
		{"POST " + asset + "/allocation", atSchool, access.KeepRegister, viewing.Asset, (*site).allocate},
		{"GET " + asset + "/checklist", atSchool, access.SignRegister, viewing.Asset, (*site).checklist},
		{"POST " + asset + "/checklist/{step}", atSchool, access.KeepRegister, viewing.Asset, (*site).recordStep},
		{"POST " + asset + "/signature", atSchool, access.SignRegister, viewing.Asset, (*site).signChecklist},
		{"POST " + asset + "/description", atSchool, access.KeepRegister, viewing.Asset, (*site).describeAsset},
		{"POST " + asset + "/hand-back", atSchool, access.KeepRegister, viewing.Asset, recordAsset("hand-back", readHandBack)},
		{"POST " + asset + "/leaving", atSchool, access.KeepRegister, viewing.Asset, recordAsset("leaving", readLeaving)},
		{"POST " + asset + "/staying", atSchool, access.KeepRegister, viewing.Asset, recordAsset("staying", only(register.Stays))},
		{"POST " + asset + "/tie", atSchool, access.KeepRegister, viewing.Asset, recordAsset("tie", readTie)},
		{"POST " + asset + "/untie", atSchool, access.KeepRegister, viewing.Asset, recordAsset("untie", only(register.Untie))},
		{"POST " + asset + "/retirement", atSchool, access.KeepRegister, viewing.Asset, recordAsset("retirement", readRetirement)},
		{"POST " + asset + "/recovery-key", atSchool, access.KeepRegister, viewing.Asset, recordAsset("recovery-key", readRecovery)},
		{"POST " + asset + "/wipe", atSchool, access.KeepRegister, viewing.Asset, recordAsset("wipe", readWipe)},
		{"POST " + asset + "/investigation", atSchool, access.KeepRegister, viewing.Asset, recordAsset("investigation", readAside)},
		{"GET " + at + "/media", atSchool, access.ReadRegister, viewing.Media, (*site).media},
		{"POST " + at + "/media", atSchool, access.KeepRegister, viewing.Media, (*site).addMedium},
		{"GET " + medium, atSchool, access.ReadRegister, viewing.Medium, (*site).medium},
		{"POST " + medium + "/erasure", atSchool, access.KeepRegister, viewing.Medium, recordMedium("erasure", register.EraseMedium, "Say how it was erased, such as “overwritten once”.")},
		{"POST " + medium + "/withdrawal", atSchool, access.KeepRegister, viewing.Medium, recordMedium("withdrawal", register.WithdrawMedium, "Say what became of it: lost, broken, destroyed.")},
		{"GET " + at + "/found", atSchool, access.ReadDevices, viewing.Media, (*site).found},
		{"POST " + at + "/found/incident", atSchool, access.RecordIncidents, viewing.Media, (*site).openFound},
		{"GET " + at + "/licences", atSchool, access.ReadLicences, viewing.Nobody, (*site).licences},
		{"POST " + at + "/licences", atSchool, access.KeepRegister, viewing.Nobody, (*site).setLicence},
		{"GET " + licence, atSchool, access.ReadLicences, viewing.Devices, (*site).licence},
		{"POST " + licence + "/exclusion", atSchool, access.KeepRegister, viewing.Devices, (*site).excludeDevice},
		{"POST " + licence + "/signature", atSchool, access.SignLicences, viewing.Devices, (*site).signLicence},
		{"GET " + at + "/rules-of-use", atSchool, access.ReadRegister, viewing.Uses, (*site).uses},
		{"POST " + at + "/rules-of-use", atSchool, access.KeepRegister, viewing.Uses, (*site).addUse},
		{"GET " + at + "/guest-notices", atSchool, access.ReadRegister, viewing.Nobody, (*site).guestNotices},
		{"POST " + at + "/guest-notices", atSchool, access.KeepRegister, viewing.Nobody, (*site).addNotice},
	}
}
