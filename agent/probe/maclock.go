package probe

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const managedScreenSaver = "/Library/Managed Preferences/com.apple.screensaver.plist"

// askedAfterWaking is how many seconds after it went dark a Mac may be woken
// without being asked for a password, and still be said to ask.
const askedAfterWaking = 60

// readMacLock fills in when the screen locks. Whether a password is asked for
// is a setting of whoever is signed in at the screen, and only that person's
// session tells: without one it is not visible.
func readMacLock(ctx context.Context, sys system.Reader, s *posture.Security) {
	out, err := sys.Run(ctx, system.MacScreenLock)
	if err != nil {
		why := macAbsence(err)
		s.ScreenLock, s.ScreenLockAfter, s.PasswordOnWake = posture.Unread[bool](why), posture.Unread[int64](why), posture.Unread[bool](why)
		return
	}
	delay, on, err := parseScreenLock(out)
	switch {
	case err != nil:
		s.ScreenLock, s.ScreenLockAfter, s.PasswordOnWake = absentFor[bool](err), absentFor[int64](err), absentFor[bool](err)
		return
	case !on:
		s.ScreenLock, s.ScreenLockAfter, s.PasswordOnWake = posture.Read(false), unsupported[int64](), posture.Read(false)
		return
	}
	s.PasswordOnWake = posture.Read(delay <= askedAfterWaking)
	idle := macIdle(ctx, sys)
	switch {
	case !idle.Known():
		s.ScreenLock, s.ScreenLockAfter = posture.Unread[bool](idle.Absent), idle
	case idle.Value == 0:
		s.ScreenLock, s.ScreenLockAfter = posture.Read(false), unsupported[int64]()
	default:
		s.ScreenLock, s.ScreenLockAfter = posture.Read(true), posture.Read(idle.Value+delay)
	}
}

var screenLockDelay = regexp.MustCompile(`screenLock (?:delay )?is (immediate|off|(-?[0-9]{1,9})(?:\.[0-9]+)? seconds?)\.?$`)

// parseScreenLock reads what sysadminctl prints, on standard error and behind
// a time and its own name:
//
//	2026-11-20 10:00:00.000 sysadminctl[99:1] screenLock delay is 300 seconds
func parseScreenLock(out system.Output) (delay int64, on bool, err error) {
	for _, data := range [][]byte{out.Stderr, out.Stdout} {
		text, err := wholeText(data)
		if err != nil {
			return 0, false, err
		}
		for line := range strings.Lines(text) {
			m := screenLockDelay.FindStringSubmatch(strings.TrimSpace(line))
			switch {
			case m == nil:
				continue
			case m[1] == "off":
				return 0, false, nil
			case m[1] == "immediate":
				return 0, true, nil
			}
			delay, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				return 0, false, errUnknown
			}
			return max(delay, 0), delay >= 0, nil
		}
	}
	return 0, false, errUnknown
}

// macIdle returns after how many seconds a Mac that nobody touches starts its
// screen saver or turns its screen off, whichever is sooner; 0 for never. The
// screen's time is the longer of those on battery and on mains.
func macIdle(ctx context.Context, sys system.Reader) posture.Reading[int64] {
	saver, chosen := saverIdle(ctx, sys)
	dark := displaySleep(ctx, sys)
	switch {
	case !dark.Known():
		return dark
	case !saver.Known() && chosen:
		return saver
	case !chosen && dark.Value == 0:
		return saver // only the screen saver would start, and nobody says when
	case !chosen, saver.Value == 0:
		return dark
	case dark.Value == 0:
		return saver
	}
	return posture.Read(min(saver.Value, dark.Value))
}

// saverIdle returns after how many seconds the screen saver starts: what the
// school's profile says, or what the person chose. Where nobody chose, the
// time that macOS takes differs between versions, and is not known.
func saverIdle(ctx context.Context, sys system.Reader) (after posture.Reading[int64], chosen bool) {
	managed, err := readPrefs(ctx, sys, managedScreenSaver)
	if err != nil {
		return absentFor[int64](err), true
	}
	if _, set := managed["idleTime"]; set {
		return valueOf[int64](managed, "idleTime"), true
	}
	out, err := sys.Run(ctx, system.MacScreenSaver)
	if err != nil {
		return posture.Unread[int64](macAbsence(err)), true
	}
	if out.Exit != 0 && len(out.Stdout) == 0 && strings.Contains(string(out.Stderr), "does not exist") {
		return unsupported[int64](), false
	}
	text, err := wholeText(out.Stdout)
	n, parseErr := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || parseErr != nil || out.Exit != 0 || n < 0 {
		return posture.Unread[int64](posture.Unreadable), true
	}
	return posture.Read(n), true
}

// displaySleep returns after how many seconds the screen goes dark, the
// longest of all sources of power; 0 for never.
func displaySleep(ctx context.Context, sys system.Reader) posture.Reading[int64] {
	out, err := sys.Run(ctx, system.MacPower)
	if err != nil {
		return posture.Unread[int64](macAbsence(err))
	}
	return parseDisplaySleep(out.Stdout)
}

// parseDisplaySleep reads paragraphs such as
//
//	Battery Power:
//	 displaysleep         2
//
// each of which has to name its time, or the text was cut.
func parseDisplaySleep(out []byte) posture.Reading[int64] {
	unreadable := posture.Unread[int64](posture.Unreadable)
	text, err := wholeText(out)
	if err != nil {
		return unreadable
	}
	var longest int64
	sources, times := 0, 0
	never := false
	for line := range strings.Lines(text) {
		if strings.HasSuffix(strings.TrimSpace(line), "Power:") {
			sources++
			continue
		}
		field := strings.Fields(line)
		if len(field) < 2 || field[0] != "displaysleep" {
			continue
		}
		minutes, err := strconv.ParseInt(field[1], 10, 32)
		if err != nil || minutes < 0 {
			return unreadable
		}
		times++
		never = never || minutes == 0
		longest = max(longest, minutes*60)
	}
	switch {
	case sources == 0 || times < sources:
		return unreadable
	case never:
		return posture.Read[int64](0)
	}
	return posture.Read(longest)
}
