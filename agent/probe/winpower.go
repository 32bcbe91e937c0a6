package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const consoleLockPolicy = `HKLM\SOFTWARE\Policies\Microsoft\Power\PowerSettings\0e796bdb-100d-47d6-a2d5-f7d2daa51f51`

// windowsPower is what the power scheme in force does on mains and on battery.
type windowsPower struct {
	err error
	// asks says whether waking asks for a password: policy first.
	asks [2]posture.Reading[bool]
	// display and sleep are after how long each comes.
	display, sleep [2]lockTimer
	// standby says that the machine sleeps without switching off (Modern
	// Standby). Then it sleeps as soon as the display is off, and each person
	// says how soon after that a password is asked for.
	standby posture.Reading[bool]
}

func readWindowsPower(ctx context.Context, sys system.Reader) (windowsPower, []posture.Gap) {
	row, err := onlyRow(ctx, sys, system.Power)
	if err != nil {
		return windowsPower{err: err}, []posture.Gap{rowsetGap(system.Power, err)}
	}
	policy, err := settings(ctx, sys, consoleLockPolicy)
	if err != nil {
		return windowsPower{err: err}, nil
	}
	p := windowsPower{standby: row.Flag("ModernStandby")}
	for i, source := range []string{"AC", "DC"} {
		asks, there, err := policy.number(source + "SettingIndex")
		lock := row.Number("ConsoleLock" + source)
		switch {
		case err != nil:
			p.asks[i] = absentFor[bool](err)
		case there:
			p.asks[i] = posture.Read(asks != 0)
		case lock.Known():
			p.asks[i] = posture.Read(lock.Value != 0)
		default:
			p.asks[i] = posture.Unread[bool](lock.Absent)
		}
		p.display[i], p.sleep[i] = row.Number("DisplayOff"+source), row.Number("Sleep"+source)
	}
	return p, nil
}

// timer is after how long the machine sleeps and then asks for a password, on
// the weaker of mains and battery.
func (p windowsPower) timer(standby bool) lockTimer {
	weakest := noTimer
	for i := range p.asks {
		t := p.sleep[i]
		if standby {
			t = smallestTimer(p.sleep[i], p.display[i])
		}
		asks := p.asks[i]
		switch {
		case asks.Known() && !asks.Value, t.Known() && t.Value == 0:
			return noTimer
		case !asks.Known():
			t = posture.Unread[int64](asks.Absent)
		}
		if weakest.Known() && (!t.Known() || t.Value > weakest.Value) {
			weakest = t
		}
	}
	return weakest
}

// machineTimer is the timer where it is the same for everybody.
func (p windowsPower) machineTimer() lockTimer {
	switch {
	case p.err != nil:
		return timerFor(p.err)
	case !p.standby.Known():
		return posture.Unread[int64](p.standby.Absent)
	case p.standby.Value:
		return noTimer
	}
	return p.timer(false)
}

// ownTimer is the timer with Modern Standby, to which each person adds a delay.
func (p windowsPower) ownTimer(ctx context.Context, sys system.Reader, sid string) lockTimer {
	if p.err != nil || !p.standby.Known() || !p.standby.Value {
		return noTimer // the machine's own timer says what is known
	}
	timer := p.timer(true)
	if !timer.Known() || timer.Value == 0 {
		return timer
	}
	delay, never := ownDelay(ctx, sys, sid)
	switch {
	case never.Known() && never.Value:
		return noTimer
	case !delay.Known():
		return delay
	}
	return posture.Read(timer.Value + delay.Value)
}

// ownDelay is how many seconds after falling asleep one person's machine asks
// for a password, and whether it never does. What holds where nobody chose is
// not documented.
func ownDelay(ctx context.Context, sys system.Reader, sid string) (lockTimer, posture.Reading[bool]) {
	const forever = 0xffffffff
	key, err := mustSettings(ctx, sys, `HKU\`+sid+ownDesktop)
	if err != nil {
		return timerFor(err), absentFor[bool](err)
	}
	delay, there, err := key.number("DelayLockInterval")
	switch {
	case err != nil:
		return timerFor(err), absentFor[bool](err)
	case !there:
		return unsupported[int64](), unsupported[bool]()
	case delay == forever || delay == -1:
		return noTimer, posture.Read(true)
	}
	return timerOf(delay, true, nil), posture.Read(false)
}

// passwordOnWake reports whether waking the machine asks for a password, for
// everybody and on mains as on battery.
func (p windowsPower) passwordOnWake(ctx context.Context, sys system.Reader, who windowsPeople) posture.Reading[bool] {
	if p.err != nil {
		return absentFor[bool](p.err)
	}
	asks := both(p.asks[0], p.asks[1])
	switch {
	case asks.Known() && !asks.Value:
		return asks
	case !p.standby.Known():
		return posture.Unread[bool](p.standby.Absent)
	case !p.standby.Value:
		return asks
	}
	for _, sid := range who.loaded {
		_, never := ownDelay(ctx, sys, sid)
		asks = both(asks, not(never))
	}
	if why := who.everybody(); why != posture.None {
		asks = both(asks, posture.Unread[bool](why))
	}
	return asks
}
