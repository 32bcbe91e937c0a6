package probe

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const loginWindow = "/Library/Preferences/com.apple.loginwindow.plist"

// macAutoLogon reports whether somebody is signed in at start without a
// password: the setting, or the file that holds that person's password for it,
// of which no more than its being there is looked at.
func macAutoLogon(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	prefs, err := readPrefs(ctx, sys, loginWindow)
	if err == nil {
		if _, set := prefs["autoLoginUser"]; set {
			return posture.Read(true)
		}
	}
	kept, keptErr := exists(ctx, sys, "/etc/kcpassword")
	switch {
	case kept:
		return posture.Read(true)
	case err != nil:
		return absentFor[bool](err)
	case keptErr != nil:
		return absentFor[bool](keptErr)
	}
	return posture.Read(false)
}

// macPasswords says whether no local account may have an empty password, by the
// policy that is set for all of them. Whether one has, only trying to sign in
// would tell: without a policy that is not known.
func macPasswords(ctx context.Context, sys system.Reader) (set, required posture.Reading[bool]) {
	out, err := sys.Run(ctx, system.MacPasswordPolicy)
	if err != nil {
		why := posture.Unread[bool](macAbsence(err))
		return why, why
	}
	required = parsePasswordPolicy(out.Stdout)
	if set = required; set == posture.Read(false) {
		set = unsupported[bool]()
	}
	return set, required
}

// minimumLength finds the least length that a policy asks for, which is
// written as a pattern: policyAttributePassword matches '.{4,}+'.
var minimumLength = regexp.MustCompile(`^policyAttributePassword matches '\.\{([0-9]{1,4}),[0-9]*\}\+?'$`)

// parsePasswordPolicy reads a property list behind a line of words. Where no
// policy is set it is not there.
func parsePasswordPolicy(out []byte) posture.Reading[bool] {
	text, err := wholeText(out)
	words, list, _ := strings.Cut(text, "\n")
	if err != nil || !strings.HasPrefix(words, "Getting global account policies") {
		return posture.Unread[bool](posture.Unreadable)
	}
	if strings.TrimSpace(list) == "" {
		return posture.Read(false)
	}
	policies, err := parsePlist([]byte(list))
	if err != nil {
		return absentFor[bool](err)
	}
	content, err := policies.list("policyCategoryPasswordContent")
	if err != nil {
		return absentFor[bool](err)
	}
	for _, c := range content {
		if m := minimumLength.FindStringSubmatch(c.text("policyContent")); m != nil && strings.Trim(m[1], "0") != "" {
			return posture.Read(true)
		}
	}
	return posture.Read(false)
}

// macAdministrators counts the members of the group of administrators that are
// people's accounts: macOS gives its own accounts identifiers that begin alike.
// A group within it may have members that a directory knows.
func macAdministrators(ctx context.Context, sys system.Reader) posture.Reading[int64] {
	out, err := sys.Run(ctx, system.MacAdministrators)
	if err != nil {
		return posture.Unread[int64](macAbsence(err))
	}
	return parseAdministrators(out.Stdout)
}

// parseAdministrators reads "GroupMembers: …" and "NestedGroups: …", of which
// the second is left out where there are none.
func parseAdministrators(out []byte) posture.Reading[int64] {
	members := posture.Unread[int64](posture.Unreadable)
	for key, value := range colonLines(out) {
		switch key {
		case "GroupMembers":
			var n int64
			for _, id := range strings.Fields(value) {
				if !strings.HasPrefix(id, "FFFFEEEE-DDDD-CCCC-BBBB-AAAA") {
					n++
				}
			}
			members = posture.Read(n)
		case "NestedGroups":
			if value != "" {
				return posture.Unread[int64](posture.NotVisible)
			}
		}
	}
	return members
}

// macDailyAdmin reports whether whoever is signed in at the screen is an
// administrator. Who that is stays on the device: only the numbers of the
// groups are looked at.
func macDailyAdmin(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	out, err := sys.Run(ctx, system.MacGroups)
	if err != nil {
		return posture.Unread[bool](macAbsence(err))
	}
	const admin = "80"
	text, err := wholeText(out.Stdout)
	groups := strings.Fields(text)
	if err != nil || len(groups) == 0 || out.Exit != 0 || strings.Trim(text, "0123456789 \n") != "" {
		return posture.Unread[bool](posture.Unreadable)
	}
	return posture.Read(slices.Contains(groups, admin))
}
