package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsSecurity gathers the single facts of Windows. Interfaces that did not
// answer are named as gaps, with the code that they gave; what of them is
// missing is said by each fact for itself.
func windowsSecurity(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Security] {
	answer := posture.Found[posture.Security]("registry, Windows")
	add := func(gaps ...posture.Gap) { answer.Gaps = append(answer.Gaps, gaps...) }
	var s posture.Security
	running := readServices(ctx, sys)
	if running.err != nil {
		add(rowsetGap(system.Services, running.err))
	}
	s.OSSupported, s.OSSupportEnds = windowsOSSupport(ctx, sys, q.Now)
	s.RebootDue = windowsRebootDue(ctx, sys)
	var gaps []posture.Gap
	s.Firewall, gaps = windowsFirewall(ctx, sys, running)
	add(gaps...)

	accounts, err := readLocalAccounts(ctx, sys)
	if err != nil {
		add(rowsetGap(system.Accounts, err))
	}
	who := readWindowsPeople(ctx, sys, accounts, err)
	power, gaps := readWindowsPower(ctx, sys)
	add(gaps...)
	if who.err != nil {
		s.ScreenLock, s.ScreenLockAfter = absentFor[bool](who.err), absentFor[int64](who.err)
	} else {
		s.ScreenLock, s.ScreenLockAfter = windowsLock(ctx, sys, who, power)
	}
	s.PasswordOnWake = power.passwordOnWake(ctx, sys, who)
	s.AutoRun = windowsAutoRun(ctx, sys, who)

	s.AutoLogon = windowsAutoLogon(ctx, sys)
	s.PasswordRequired = passwordRequired(ctx, sys, accounts, err)
	s.PasswordSet = s.PasswordRequired
	if s.PasswordSet.Known() && !s.PasswordSet.Value {
		s.PasswordSet = unsupported[bool]() // one may be empty; whether one is, nobody tells
	}
	s.Administrators, s.DailyUserAdmin, gaps = windowsAdministrators(ctx, sys, accounts, err)
	add(gaps...)

	s.SecureBoot, s.TPM, gaps = windowsFirmware(ctx, sys)
	add(gaps...)
	var gap *posture.Gap
	if s.OpenDetections, gap = openDetections(ctx, sys); gap != nil {
		add(*gap)
	}
	add(windowsUpdates(ctx, sys, q, running, &s)...)
	answer.Items = []posture.Security{s}
	return answer
}

// windowsFirmware reads what the firmware says of itself. A computer that did
// not start by UEFI has no secure boot.
func windowsFirmware(ctx context.Context, sys system.Reader) (secure, tpm posture.Reading[bool], gaps []posture.Gap) {
	const bios = 1
	row, err := onlyRow(ctx, sys, system.Firmware)
	if err != nil {
		gap := rowsetGap(system.Firmware, err)
		return posture.Unread[bool](gap.Absent), posture.Unread[bool](gap.Absent), []posture.Gap{gap}
	}
	secure = row.Flag("SecureBoot")
	if kind := row.Number("FirmwareType"); kind.Known() && kind.Value == bios {
		secure = posture.Read(false)
	}
	version := row.Number("TPMVersion")
	v, told := row.Get("TPMVersion")
	switch {
	case told && v.IsNull():
		tpm = posture.Read(false)
	case version.Known():
		tpm = posture.Read(version.Value > 0)
	default:
		tpm = posture.Unread[bool](version.Absent)
	}
	return secure, tpm, gaps
}
