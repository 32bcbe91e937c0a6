package probe

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

var unsupportedTime = posture.Unread[time.Time](posture.Unsupported)

// askClamAV asks the daemon and the files of definitions. A scanner without
// its daemon is installed and off; without clamonacc nothing is looked at as
// it is opened.
func askClamAV(ctx context.Context, sys system.Reader, running processes, a *posture.Antivirus) {
	loaded, loadedErr := askClamd(ctx, sys)
	if loadedErr == nil {
		a.On = posture.Read(true)
	}
	a.Version = clamVersion(ctx, sys, loaded, loadedErr)
	a.RealTime = both(a.On, running.any("clamonacc"))
	a.Updating = clamUpdating(ctx, sys, running)
	a.Expired = posture.Read(false) // it is free: there is no licence that could end

	disk, err := clamDefinitions(ctx, sys)
	switch {
	case err != nil:
		a.Definitions, a.DefinitionsAt = absentFor[string](err), absentFor[time.Time](err)
	case loadedErr != nil && !missing(loadedErr) && !errors.Is(loadedErr, errMute) && !(a.On.Known() && !a.On.Value):
		// A daemon that does not answer may have loaded anything.
		a.Definitions, a.DefinitionsAt = absentFor[string](loadedErr), absentFor[time.Time](loadedErr)
	case missing(loadedErr) && a.On.Known() && a.On.Value:
		// So may one that runs and has no socket to be asked at.
		a.Definitions, a.DefinitionsAt = posture.Unread[string](posture.NotVisible), posture.Unread[time.Time](posture.NotVisible)
	case loadedErr == nil && loaded.database != 0 && loaded.database != disk.version:
		// What protects is what the daemon has loaded, not what lies on disk.
		a.Definitions = posture.Read(strconv.FormatUint(loaded.database, 10))
		a.DefinitionsAt = localTime(ctx, sys, loaded.made)
	case disk.version == 0:
		a.Definitions, a.DefinitionsAt = posture.Read(""), posture.Read(time.Time{}) // never had any
	default:
		a.Definitions = posture.Read(strconv.FormatUint(disk.version, 10))
		a.DefinitionsAt = posture.Unread[time.Time](posture.Unreadable)
		if !disk.made.IsZero() {
			a.DefinitionsAt = posture.Read(disk.made)
		}
	}
}

// both is true if both are, false if one is known to be false, and otherwise
// as absent as the one that is not known.
func both(a, b posture.Reading[bool]) posture.Reading[bool] {
	switch {
	case a.Known() && !a.Value, b.Known() && !b.Value:
		return posture.Read(false)
	case !a.Known():
		return a
	}
	return b
}

// clamBanner is what clamd and clamscan say of themselves.
type clamBanner struct {
	engine   string
	database uint64 // 0 if no definitions are loaded
	made     string // date of the definitions in local time, such as "Thu Nov 20 09:28:13 2026"
}

func askClamd(ctx context.Context, sys system.Reader) (clamBanner, error) {
	answer, err := sys.Ask(ctx, system.ClamdAnswersVersion)
	if err != nil {
		return clamBanner{}, err
	}
	if strings.HasPrefix(string(answer), "COMMAND UNAVAILABLE") {
		return clamBanner{}, errMute
	}
	if n := len(answer); n == 0 || answer[n-1] != 0 {
		return clamBanner{}, errUnknown // cut short: a zero ends the answer
	}
	return parseClamBanner(answer)
}

// errMute means that clamd is set not to tell its version.
var errMute = errors.New("it is set not to answer")

// parseClamBanner reads "ClamAV 1.4.3/27830/Thu Nov 20 09:28:13 2026", or
// "ClamAV 1.4.3" alone where no definitions are loaded.
func parseClamBanner(data []byte) (clamBanner, error) {
	line, _, _ := strings.Cut(firstBytes(data, lineLimit), "\n")
	line = strings.TrimSpace(strings.Trim(line, "\x00"))
	parts := strings.SplitN(line, "/", 3)
	engine, ok := strings.CutPrefix(parts[0], "ClamAV ")
	if !ok || versionPattern.FindString(engine) == "" {
		return clamBanner{}, errUnknown
	}
	b := clamBanner{engine: clean(engine, nameRunes)}
	if len(parts) == 3 {
		n, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil {
			return clamBanner{}, errUnknown
		}
		b.database, b.made = n, parts[2]
	}
	return b, nil
}

// clamVersion prefers what the daemon says, then what the programs say.
func clamVersion(ctx context.Context, sys system.Reader, loaded clamBanner, loadedErr error) posture.Reading[string] {
	if loadedErr == nil {
		return posture.Read(loaded.engine)
	}
	for _, c := range []system.Command{system.ClamscanVersion, system.ClamdVersion} {
		out, err := sys.Run(ctx, c)
		if missing(err) {
			continue
		}
		if err != nil {
			return absentFor[string](err)
		}
		if _, err := wholeText(out.Stdout); err != nil {
			return absentFor[string](err)
		}
		b, err := parseClamBanner(out.Stdout)
		if err != nil {
			return absentFor[string](err)
		}
		return posture.Read(b.engine)
	}
	return unsupported[string]()
}

// clamUpdating reports whether freshclam runs, or is set to run, by itself.
func clamUpdating(ctx context.Context, sys system.Reader, running processes) posture.Reading[bool] {
	runs := running.any("freshclam")
	if runs.Known() && runs.Value {
		return runs
	}
	for _, unit := range []string{"clamav-freshclam.service", "freshclam.service", "clamav-freshclam-once.timer"} {
		set, err := unitEnabled(ctx, sys, unit)
		if err != nil {
			return absentFor[bool](err)
		}
		if set {
			return posture.Read(true)
		}
	}
	cron, err := anyExists(ctx, sys, "/etc/cron.d/clamav-freshclam", "/etc/cron.d/clamav-update", "/etc/cron.daily/freshclam")
	if err == nil && !cron {
		cron, err = startsWithoutSystemd(ctx, sys, "clamav-freshclam")
	}
	switch {
	case err != nil:
		return absentFor[bool](err)
	case cron:
		return posture.Read(true)
	}
	return runs
}

// startsWithoutSystemd reports whether a service is started by the older kind
// of init, where that is the one in charge.
func startsWithoutSystemd(ctx context.Context, sys system.Reader, service string) (bool, error) {
	systemd, err := exists(ctx, sys, "/run/systemd/system")
	if systemd || err != nil {
		return false, err
	}
	list, err := entries(ctx, sys, "/etc/rc3.d")
	for _, e := range list {
		// S, two digits for the order, and the name.
		if len(e.Name) > 3 && e.Name[0] == 'S' && e.Name[3:] == service {
			return true, err
		}
	}
	return false, err
}

// unitEnabled reports whether systemd starts a unit by itself.
func unitEnabled(ctx context.Context, sys system.Reader, unit string) (bool, error) {
	const dir = "/etc/systemd/system/"
	if target, err := sys.Link(ctx, dir+unit); err == nil && target == "/dev/null" {
		return false, nil // masked
	} else if err != nil && !missing(err) {
		// A unit file in the way is no mask; anything else cannot be told.
		if found, statErr := exists(ctx, sys, dir+unit); statErr != nil || !found {
			return false, err
		}
	}
	wants := []string{"multi-user.target.wants/", "timers.target.wants/", "graphical.target.wants/", "default.target.wants/"}
	for _, w := range wants {
		_, err := sys.Link(ctx, dir+w+unit)
		if err == nil {
			return true, nil
		}
		if !missing(err) {
			return false, err
		}
	}
	return false, nil
}

// clamHeader is the head of a file of definitions.
type clamHeader struct {
	version uint64
	made    time.Time // zero if it does not say
}

// clamDefinitions returns the newest daily definitions or, where there are
// none, the main ones; version 0 if there are no definitions at all.
func clamDefinitions(ctx context.Context, sys system.Reader) (clamHeader, error) {
	const dir = "/var/lib/clamav/"
	for _, name := range []string{"daily", "main"} {
		var found []clamHeader
		for _, suffix := range []string{".cld", ".cvd", ".cud"} {
			head, err := sys.Part(ctx, dir+name+suffix, 0, 512)
			if missing(err) {
				continue
			}
			if err != nil {
				return clamHeader{}, err
			}
			h, err := parseClamHeader(head)
			if err != nil {
				return clamHeader{}, err
			}
			found = append(found, h)
		}
		if len(found) > 0 {
			return slices.MaxFunc(found, func(a, b clamHeader) int {
				switch {
				case a.version < b.version:
					return -1
				case a.version > b.version:
					return 1
				}
				return a.made.Compare(b.made)
			}), nil
		}
	}
	return clamHeader{}, nil
}

// parseClamHeader reads the fields between colons of the first 512 bytes:
// name, date, version, signatures, level, two checks, builder and, in all but
// old files, the time in seconds since 1970, which needs no time zone.
func parseClamHeader(head []byte) (clamHeader, error) {
	fields := strings.Split(strings.TrimRight(firstBytes(head, 512), " \n\x00"), ":")
	if len(fields) < 8 || fields[0] != "ClamAV-VDB" {
		return clamHeader{}, errUnknown
	}
	version, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil || version == 0 {
		return clamHeader{}, errUnknown
	}
	h := clamHeader{version: version}
	if len(fields) > 8 {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(fields[8]), 10, 64); err == nil && plausible(time.Unix(seconds, 0)) {
			h.made = time.Unix(seconds, 0).UTC()
			return h, nil
		}
	}
	if made, err := time.Parse("2 Jan 2006 15-04 -0700", strings.TrimSpace(fields[1])); err == nil && plausible(made) {
		h.made = made.UTC()
	}
	return h, nil
}

// plausible refuses times that a machine cannot mean: 1970 and the like stand
// for "not set".
func plausible(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2100 }

// localTime reads a date that was printed in the machine's own time zone.
func localTime(ctx context.Context, sys system.Reader, text string) posture.Reading[time.Time] {
	zone, err := localZone(ctx, sys)
	if err != nil {
		return absentFor[time.Time](err)
	}
	t, err := time.ParseInLocation("Mon Jan _2 15:04:05 2006", strings.TrimSpace(text), zone)
	if err != nil || !plausible(t) {
		return posture.Unread[time.Time](posture.Unreadable)
	}
	return posture.Read(t.UTC())
}

// localZone returns the machine's own time zone, which is UTC where none is set.
func localZone(ctx context.Context, sys system.Reader) (*time.Location, error) {
	data, err := sys.File(ctx, "/etc/localtime", 64<<10)
	if missing(err) {
		return time.UTC, nil
	}
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocationFromTZData("local", data)
	if err != nil {
		return nil, errUnknown
	}
	return zone, nil
}
