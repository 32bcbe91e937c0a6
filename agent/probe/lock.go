package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// desktop is a family of graphical sessions that share their settings.
type desktop string

const (
	gnome        desktop = "gnome"
	kde          desktop = "kde"
	cinnamon     desktop = "cinnamon"
	otherDesktop desktop = "other"
)

// installedDesktops lists the families of sessions that can be started, none
// on a machine without a graphical desktop.
func installedDesktops(ctx context.Context, sys system.Reader) ([]desktop, error) {
	var found []desktop
	for _, dir := range []string{"/usr/share/wayland-sessions", "/usr/share/xsessions"} {
		list, err := entries(ctx, sys, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			name, ok := strings.CutSuffix(e.Name, ".desktop")
			if ok {
				found = append(found, desktopOf(name))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func desktopOf(session string) desktop {
	switch {
	case strings.HasPrefix(session, "gnome"), strings.HasPrefix(session, "ubuntu"):
		return gnome
	case strings.HasPrefix(session, "plasma"), strings.HasPrefix(session, "kde"):
		return kde
	case strings.HasPrefix(session, "cinnamon"):
		return cinnamon
	}
	return otherDesktop
}

// autoRun reports whether programs on media start by themselves. GNOME, KDE
// and Cinnamon ask first, always; without a desktop nothing looks at media.
func autoRun(desktops []desktop, err error) posture.Reading[bool] {
	switch {
	case err != nil:
		return absentFor[bool](err)
	case slices.Contains(desktops, otherDesktop):
		return unsupported[bool]()
	}
	return posture.Read(false)
}

// screenLock reports whether the screen locks by itself and after how long.
// It is judged for everybody who has a folder, and the weakest answer counts:
// one person's screen that never locks is a screen that never locks. Without
// a graphical desktop there is a console, and no console locks by itself.
func screenLock(
	ctx context.Context, sys system.Reader, who people, whoErr error, desktops []desktop, err error,
) (posture.Reading[bool], posture.Reading[int64]) {
	switch {
	case err != nil:
		return absentFor[bool](err), absentFor[int64](err)
	case len(desktops) == 0:
		return posture.Read(false), unsupported[int64]()
	case slices.Contains(desktops, otherDesktop):
		return unsupported[bool](), unsupported[int64]()
	case whoErr != nil:
		return absentFor[bool](whoErr), absentFor[int64](whoErr)
	}
	worst := lock{on: true}
	for _, d := range desktops {
		l := lockOf(ctx, sys, d, who.homes)
		if l.err == nil && !l.on {
			return posture.Read(false), unsupported[int64]()
		}
		if worst.err == nil {
			worst.err = l.err
		}
		worst.after = max(worst.after, l.after)
	}
	switch {
	case worst.err != nil:
		return absentFor[bool](worst.err), absentFor[int64](worst.err)
	case who.elsewhere:
		// Accounts of a directory keep their settings where we do not look.
		return posture.Unread[bool](posture.NotVisible), posture.Unread[int64](posture.NotVisible)
	}
	return posture.Read(true), posture.Read(worst.after)
}

// lock is what one person's settings say, or the weakest of several.
type lock struct {
	on    bool
	after int64 // seconds
	err   error
}

func (l lock) weaker(other lock) lock {
	switch {
	case l.err == nil && !l.on:
		return l
	case other.err == nil && !other.on:
		return other
	case l.err != nil:
		return l
	case other.err != nil || other.after > l.after:
		return other
	}
	return l
}

// lockOf judges a desktop for every person, or its defaults where there is
// nobody yet.
func lockOf(ctx context.Context, sys system.Reader, d desktop, homes []string) lock {
	var of func(home string) lock
	if d == kde {
		of = kdeLock(ctx, sys)
	} else {
		of = dconfLock(ctx, sys, d)
	}
	if len(homes) == 0 {
		return of("")
	}
	worst := of(homes[0])
	for _, h := range homes[1:] {
		worst = worst.weaker(of(h))
	}
	return worst
}

// dconfLock reads the settings of GNOME and Cinnamon, which have the same
// names in different places.
func dconfLock(ctx context.Context, sys system.Reader, d desktop) func(string) lock {
	saver, session := "/org/gnome/desktop/screensaver/", "/org/gnome/desktop/session/"
	if d == cinnamon {
		saver, session = "/org/cinnamon/desktop/screensaver/", "/org/cinnamon/desktop/session/"
	}
	conf, err := readDconf(ctx, sys)
	return func(home string) lock {
		if err != nil {
			return lock{err: err}
		}
		var own *gvdbTable
		if home != "" {
			data, err := sys.File(ctx, home+"/.config/dconf/user", gvdbLimit)
			if err == nil {
				own, err = parseGVDB(data)
			}
			if err != nil && !missing(err) {
				return lock{err: err}
			}
		}
		enabled, err := conf.boolean(own, saver+"lock-enabled", true)
		if err != nil {
			return lock{err: err}
		}
		idle, err := conf.number(own, session+"idle-delay", 300)
		if err != nil {
			return lock{err: err}
		}
		delay, err := conf.number(own, saver+"lock-delay", 0)
		if err != nil {
			return lock{err: err}
		}
		return lock{on: enabled && idle > 0, after: int64(idle) + int64(delay)}
	}
}

// kdeLock reads kscreenlockerrc, the system's and the person's own. What the
// system marks as immutable is not followed: it only ever locks more.
func kdeLock(ctx context.Context, sys system.Reader) func(string) lock {
	common, err := readINI(ctx, sys, "/etc/xdg/kscreenlockerrc")
	return func(home string) lock {
		if err != nil {
			return lock{err: err}
		}
		var own map[string]map[string]string
		if home != "" {
			var ownErr error
			if own, ownErr = readINI(ctx, sys, home+"/.config/kscreenlockerrc"); ownErr != nil {
				return lock{err: ownErr}
			}
		}
		return kdeDaemon(own["Daemon"], common["Daemon"])
	}
}

func kdeDaemon(own, common map[string]string) lock {
	value := func(key, otherwise string) string {
		for _, keys := range []map[string]string{own, common} {
			if v, ok := keys[key]; ok {
				return v
			}
		}
		return otherwise
	}
	minutes, err := strconv.ParseUint(value("Timeout", "5"), 10, 16)
	if err != nil {
		return lock{err: errUnknown}
	}
	grace, err := strconv.ParseUint(value("LockGrace", "5"), 10, 16)
	if err != nil {
		return lock{err: errUnknown}
	}
	on := value("Autolock", "true")
	if on != "true" && on != "false" {
		return lock{err: errUnknown}
	}
	return lock{on: on == "true" && minutes > 0, after: int64(minutes)*60 + int64(grace)}
}
