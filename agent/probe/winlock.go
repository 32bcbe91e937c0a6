package probe

import (
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	systemPolicies = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`
	winlogon       = versionKey + `\Winlogon`
	deviceLockMDM  = `HKLM\SOFTWARE\Microsoft\PolicyManager\current\device\DeviceLock`
	ownDesktop     = `\Control Panel\Desktop`
	policyDesktop  = `\Software\Policies\Microsoft\Windows\Control Panel\Desktop`
)

// lockTimer is after how many seconds of idleness something locks the machine;
// 0 is never.
type lockTimer = posture.Reading[int64]

var noTimer = posture.Read(int64(0))

func timerFor(err error) lockTimer { return absentFor[int64](err) }

// smallestTimer returns the first of several timers to lock; one that is not
// known may be the first.
func smallestTimer(timers ...lockTimer) lockTimer {
	least := noTimer
	for _, t := range timers {
		switch {
		case !t.Known():
			return t
		case t.Value > 0 && (least.Value == 0 || t.Value < least.Value):
			least = t
		}
	}
	return least
}

// locks reports whether one of several timers locks.
func locks(timers ...lockTimer) posture.Reading[bool] {
	unsure := posture.Read(false)
	for _, t := range timers {
		switch {
		case t.Known() && t.Value > 0:
			return posture.Read(true)
		case !t.Known():
			unsure = posture.Unread[bool](t.Absent)
		}
	}
	return unsure
}

// windowsPeople is whose settings are loaded, and whether there is anybody
// else.
type windowsPeople struct {
	loaded []string
	hidden posture.Reading[bool]
	err    error // why it is not known who is loaded
}

// readWindowsPeople finds the people of a machine. A profile that nobody can
// sign in to any more, as those that the maker of a machine or somebody who left
// leave behind, hides nobody.
func readWindowsPeople(ctx context.Context, sys system.Reader, accounts []localAccount, accountsErr error) windowsPeople {
	var p windowsPeople
	if p.loaded, _, p.err = loadedHives(ctx, sys); p.err != nil {
		p.hidden = absentFor[bool](p.err)
		return p
	}
	all, err := profiles(ctx, sys)
	if err != nil {
		p.hidden = absentFor[bool](err)
		return p
	}
	if accountsErr == nil {
		all = slices.DeleteFunc(all, func(sid string) bool { return leftBehind(sid, accounts) })
	}
	p.hidden = posture.Read(someHidden(all, p.loaded))
	return p
}

// everybody says why a "yes" for all whose settings are loaded is not one for
// everybody, or None if it is.
func (p windowsPeople) everybody() posture.Absence {
	switch {
	case !p.hidden.Known():
		return p.hidden.Absent
	case p.hidden.Value, len(p.loaded) == 0:
		return posture.NotVisible
	}
	return posture.None
}

// windowsLock reports whether the screen locks by itself and after how long:
// for each person by the first timer that does, and for all of them by the
// weakest. Of people whose settings are not loaded only the machine's own
// timers are known: what these do not settle is not known.
func windowsLock(ctx context.Context, sys system.Reader, p windowsPeople, power windowsPower) (posture.Reading[bool], posture.Reading[int64]) {
	machine := []lockTimer{inactivityLimit(ctx, sys), managedLimit(ctx, sys), power.machineTimer()}
	on, after := posture.Read(true), noTimer
	add := func(timers []lockTimer) {
		on = both(on, locks(timers...))
		if t := smallestTimer(timers...); after.Known() && (!t.Known() || t.Value > after.Value) {
			after = t
		}
	}
	for _, sid := range p.loaded {
		add(append([]lockTimer{saverTimer(ctx, sys, sid), power.ownTimer(ctx, sys, sid)}, machine...))
	}
	if why := p.everybody(); why != posture.None {
		if settled := locks(machine...); settled.Known() && settled.Value {
			add(machine)
		} else {
			add(append(machine, posture.Unread[int64](why)))
		}
	}
	if !on.Known() {
		return on, posture.Unread[int64](on.Absent)
	}
	if !on.Value {
		return on, unsupported[int64]()
	}
	return on, after
}

// inactivityLimit is the machine's own limit, which holds for everybody.
func inactivityLimit(ctx context.Context, sys system.Reader) lockTimer {
	key, err := mustSettings(ctx, sys, systemPolicies)
	if err != nil {
		return timerFor(err)
	}
	return timerOf(key.number("InactivityTimeoutSecs"))
}

func timerOf(n int64, there bool, err error) lockTimer {
	switch {
	case err != nil:
		return timerFor(err)
	case !there:
		return noTimer
	case n < 0 || n > 1<<31:
		return posture.Unread[int64](posture.Unreadable)
	}
	return posture.Read(n)
}

// managedLimit is the limit that a management service sets, in minutes. It only
// holds where that service also asks for a password (DevicePasswordEnabled 0).
func managedLimit(ctx context.Context, sys system.Reader) lockTimer {
	key, err := settings(ctx, sys, deviceLockMDM)
	if err != nil {
		return timerFor(err)
	}
	minutes := timerOf(key.number("MaxInactivityTimeDeviceLock"))
	if !minutes.Known() || minutes.Value == 0 {
		return minutes
	}
	password, there, err := key.number("DevicePasswordEnabled")
	switch {
	case err != nil:
		return timerFor(err)
	case !there:
		return unsupported[int64]()
	case password != 0:
		return noTimer
	}
	return posture.Read(minutes.Value * 60)
}

// saverTimer is after how long one person's screen saver locks. Each setting
// comes from policy, else from the person's own. Without a saver that is named
// and there nothing starts, and nothing locks.
func saverTimer(ctx context.Context, sys system.Reader, sid string) lockTimer {
	own, err := mustSettings(ctx, sys, `HKU\`+sid+ownDesktop)
	if err != nil {
		return timerFor(err)
	}
	policy, err := settings(ctx, sys, `HKU\`+sid+policyDesktop)
	if err != nil {
		return timerFor(err)
	}
	saver, _, saverErr := settingText("SCRNSAVE.EXE", policy, own)
	active, isSet, activeErr := settingNumber("ScreenSaveActive", policy, own)
	secure, _, secureErr := settingNumber("ScreenSaverIsSecure", policy, own)
	if saverErr == nil && saver == "" || activeErr == nil && isSet && active == 0 || secureErr == nil && secure == 0 {
		return noTimer
	}
	for _, err := range []error{saverErr, activeErr, secureErr} {
		if err != nil {
			return timerFor(err)
		}
	}
	if err := saverThere(ctx, sys, saver); err != nil {
		return timerFor(err)
	}
	seconds, isSet, err := settingNumber("ScreenSaveTimeOut", policy, own)
	switch timer := timerOf(seconds, isSet, err); {
	case err != nil, !timer.Known():
		return timer
	case !isSet:
		return posture.Unread[int64](posture.Unreadable) // it starts, and nobody says when
	case timer.Value == 0:
		return noTimer
	default:
		return withGrace(ctx, sys, timer)
	}
}

// withGrace adds for how long a screen saver goes away without a password. The
// five seconds that everybody gets are not counted: no school means ten minutes
// and five seconds when it says ten minutes.
func withGrace(ctx context.Context, sys system.Reader, timer lockTimer) lockTimer {
	const usual = 5
	key, err := mustSettings(ctx, sys, winlogon)
	if err != nil {
		return timerFor(err)
	}
	grace := timerOf(key.number("ScreenSaverGracePeriod"))
	if grace.Known() && grace.Value <= usual {
		return timer
	}
	if !grace.Known() {
		return grace
	}
	return posture.Read(timer.Value + grace.Value)
}
