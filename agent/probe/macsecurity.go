package probe

import (
	"context"
	"regexp"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// macSecurity gathers the single facts about how a Mac is kept.
func macSecurity(ctx context.Context, sys system.Reader, q Question) posture.Answer[posture.Security] {
	var s posture.Security
	version := readMacVersion(ctx, sys)
	s.OSSupported, s.OSSupportEnds = macSupport(version.version, q.Now), unsupportedTime
	readMacUpdates(ctx, sys, version.version, &s)
	s.RebootDue = unsupported[bool]() // macOS keeps to itself what waits for a restart
	s.Firewall = macFirewall(ctx, sys)
	readMacLock(ctx, sys, &s)
	s.PasswordSet, s.PasswordRequired = macPasswords(ctx, sys)
	s.AutoLogon = macAutoLogon(ctx, sys)
	s.AutoRun = posture.Read(false) // macOS starts no program from a medium by itself
	s.Administrators = macAdministrators(ctx, sys)
	s.DailyUserAdmin = macDailyAdmin(ctx, sys)
	s.OpenDetections = unsupported[int64]() // no product for macOS counts them where they can be read
	s.SecureBoot = unsupported[bool]()      // told only in macOS Recovery
	s.TPM = unsupported[bool]()             // Macs have a Secure Enclave instead
	s.SystemIntegrity = macIntegrity(ctx, sys)
	s.ProgramsAssessed = macGatekeeper(ctx, sys)
	return posture.Found("macos", s)
}

var firewallState = regexp.MustCompile(`\(State = ([0-2])\)`)

// macFirewall reads the number behind the words, which vary: 0 is off, 1 asks
// for each program, 2 refuses all.
func macFirewall(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.MacFirewall)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	text, err := wholeText(out.Stdout)
	m := firewallState.FindStringSubmatch(text)
	if err != nil || m == nil {
		return posture.Unread[bool](posture.Unreadable)
	}
	return posture.Read(m[1] != "0")
}

// macIntegrity reports whether System Integrity Protection guards the files of
// the system. Where it was changed in part, that part is what counts.
func macIntegrity(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.IntegrityStatus)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	return parseIntegrity(out.Stdout)
}

func parseIntegrity(out []byte) posture.Reading[bool] {
	custom := false
	for key, value := range colonLines(out) {
		value = strings.TrimSuffix(value, ".")
		switch {
		case key == "System Integrity Protection status" && (value == "enabled" || value == "disabled"):
			return posture.Read(value == "enabled")
		case key == "System Integrity Protection status" && strings.HasPrefix(value, "unknown"):
			custom = true
		case custom && key == "Filesystem Protections" && (value == "enabled" || value == "disabled"):
			return posture.Read(value == "enabled")
		}
	}
	return posture.Unread[bool](posture.Unreadable)
}

// macGatekeeper reports whether programs from elsewhere are assessed before
// they first run.
func macGatekeeper(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.GatekeeperStatus)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	first, _, _ := strings.Cut(string(out.Stdout), "\n")
	_, err = wholeText(out.Stdout)
	switch {
	case err != nil:
	case first == "assessments enabled":
		return posture.Read(true)
	case first == "assessments disabled":
		return posture.Read(false)
	}
	return posture.Unread[bool](posture.Unreadable)
}
