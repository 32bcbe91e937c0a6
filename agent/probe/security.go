package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// SecurityFacts gathers the single facts about how the device is kept. Each is
// read for itself: what one source hides leaves the others as they are.
func SecurityFacts(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Security] {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxSecurity(ctx, sys, q)
	case system.JudgesWindows && on == posture.Windows:
		return windowsSecurity(ctx, sys, q)
	case system.JudgesMacOS && on == posture.MacOS:
		return macSecurity(ctx, sys, q)
	}
	return posture.NotFound[posture.Security]("", posture.NotAsked)
}

func linuxSecurity(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Security] {
	var s posture.Security
	release, releaseErr := osRelease(ctx, sys)
	s.OSSupported, s.OSSupportEnds = osSupport(ctx, sys, release, releaseErr, q.Now)
	readUpdates(ctx, sys, q, &s)
	s.RebootDue = rebootDue(ctx, sys)
	s.Firewall = firewall(ctx, sys)

	who, whoErr := readPeople(ctx, sys)
	desktops, desktopsErr := installedDesktops(ctx, sys)
	s.ScreenLock, s.ScreenLockAfter = screenLock(ctx, sys, who, whoErr, desktops, desktopsErr)
	s.AutoRun = autoRun(desktops, desktopsErr)
	s.AutoLogon = autoLogon(ctx, sys)
	groups, groupsErr := readGroups(ctx, sys)
	if whoErr != nil {
		s.PasswordSet = absentFor[bool](whoErr)
		s.Administrators, s.DailyUserAdmin = absentFor[int64](whoErr), absentFor[bool](whoErr)
	} else {
		s.PasswordSet = passwordSet(ctx, sys, who, groups, groupsErr)
		s.Administrators, s.DailyUserAdmin = administrators(ctx, sys, who, groups, groupsErr)
	}

	// No antivirus product on Linux whose answers we have seen counts what it
	// found and has not dealt with.
	s.OpenDetections = unsupported[int64]()
	s.SecureBoot = secureBoot(ctx, sys)
	s.TPM = tpm(ctx, sys)
	return posture.Found("linux", s)
}
