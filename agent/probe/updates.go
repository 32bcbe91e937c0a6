package probe

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// readUpdates fills in what the system's own package manager knows about
// updates. It asks nobody outside: how fresh that knowledge is, is a fact of
// its own.
func readUpdates(ctx context.Context, sys system.Reader, q Question, s *posture.Security) {
	s.UpdatesPending, s.UpdatesImportant = unsupported[int64](), unsupported[int64]()
	s.ImportantSince, s.UpdatesCheckedAt, s.UpdatesAutomatic = unsupportedTime, unsupportedTime, unsupported[bool]()
	apt, err := exists(ctx, sys, "/usr/bin/apt-get")
	if err == nil && apt {
		readAPT(ctx, sys, q, s)
		return
	}
	dnf, dnfErr := exists(ctx, sys, "/usr/bin/dnf")
	switch {
	case err != nil || dnfErr != nil:
		why := system.Absence(err)
		if err == nil {
			why = system.Absence(dnfErr)
		}
		s.UpdatesPending, s.UpdatesImportant = posture.Unread[int64](why), posture.Unread[int64](why)
		s.ImportantSince, s.UpdatesCheckedAt = posture.Unread[time.Time](why), posture.Unread[time.Time](why)
		s.UpdatesAutomatic = posture.Unread[bool](why)
	case dnf:
		readDNF(ctx, sys, s)
	}
}

func readAPT(ctx context.Context, sys system.Reader, q Question, s *posture.Security) {
	waiting, err := recall(q.Memory, "apt", q.Now,
		func() (string, error) { return aptInputs(ctx, sys) },
		func() (waitingUpdates, error) { return aptPending(ctx, sys) })
	if err != nil {
		s.UpdatesPending, s.UpdatesImportant, s.ImportantSince = absentFor[int64](err), absentFor[int64](err), absentFor[time.Time](err)
	} else {
		s.UpdatesPending, s.UpdatesImportant = posture.Read(waiting.Pending), posture.Read(waiting.Important)
		s.ImportantSince = noneSince(waiting.Important)
	}
	s.UpdatesCheckedAt = aptChecked(ctx, sys)
	s.UpdatesAutomatic = aptAutomatic(ctx, sys)
}

// noneSince is the zero time where there is nothing to wait for. Neither apt
// nor dnf tells when an update first appeared, so that otherwise it is not known.
func noneSince(important int64) posture.Reading[time.Time] {
	if important == 0 {
		return posture.Read(time.Time{})
	}
	return unsupportedTime
}

// waitingUpdates counts what a package manager would install.
type waitingUpdates struct {
	Pending   int64 `json:"pending"`
	Important int64 `json:"important"`
}

// aptInputs tells whether all that apt decides by is as it was: what is
// installed, the lists, and its configuration. Where that moves apt's own
// folders, it cannot be told.
func aptInputs(ctx context.Context, sys system.Reader) (string, error) {
	conf, err := aptConf(ctx, sys)
	if err != nil {
		return "", err
	}
	for key := range conf {
		for _, moved := range []string{"dir::state", "dir::etc", "rootdir"} {
			if key == "dir" || strings.HasPrefix(key, moved) {
				return "", errUnknown
			}
		}
	}
	return fingerprint(ctx, sys,
		"/usr/bin/apt-get", dpkgStatus, "/var/lib/dpkg/arch", "/var/lib/apt/extended_states", "/var/lib/apt/lists",
		"/etc/apt", "/etc/apt/apt.conf.d", "/etc/apt/preferences.d", "/etc/apt/sources.list.d",
		"/etc/dpkg", "/etc/dpkg/dpkg.cfg.d",
	)
}

// aptPending asks apt what a full upgrade would install from the lists it has.
// Without lists apt finds nothing to do, which says nothing.
func aptPending(ctx context.Context, sys system.Reader) (waitingUpdates, error) {
	lists, err := entries(ctx, sys, "/var/lib/apt/lists")
	if err != nil {
		return waitingUpdates{}, err
	}
	known := false
	for _, l := range lists {
		known = known || strings.Contains(l.Name, "_Packages")
	}
	if !known {
		return waitingUpdates{}, errNoLists
	}
	out, err := sys.Run(ctx, system.APTPending)
	if err != nil {
		return waitingUpdates{}, err
	}
	if out.Exit != 0 {
		return waitingUpdates{}, errUnknown
	}
	pending, important, err := parseAPT(string(out.Stdout))
	return waitingUpdates{pending, important}, err
}

var aptSummary = regexp.MustCompile(`(?m)^(\d{1,7}) upgraded, (\d{1,7}) newly installed, (\d{1,7}) to remove and (\d{1,7}) not upgraded\.$`)

// parseAPT counts the lines that say what would be installed:
//
//	Inst libc6 [2.36-9] (2.36-9+deb12u1 Debian:12/oldstable, Debian-Security:12/oldstable-security [amd64])
//
// An update is important if it comes from a security archive, or from an
// archive that does not separate the two: then its severity is not stated.
// What apt keeps back is counted as pending and important, for it does not say
// where it comes from. Its own summary must agree, or the output was cut.
func parseAPT(out string) (pending, important int64, err error) {
	sum := aptSummary.FindStringSubmatch(out)
	if sum == nil {
		return 0, 0, errUnknown
	}
	var counted [4]int64
	for i := range counted {
		if counted[i], err = strconv.ParseInt(sum[i+1], 10, 64); err != nil {
			return 0, 0, errUnknown
		}
	}
	for line := range strings.Lines(out) {
		rest, ok := strings.CutPrefix(line, "Inst ")
		if !ok {
			continue
		}
		_, source, ok := strings.Cut(rest, "(")
		source, _, closed := strings.Cut(source, ")")
		if !ok || !closed {
			return 0, 0, errUnknown
		}
		pending++
		if importantOrigin(source) {
			important++
		}
	}
	if pending < counted[0]+counted[1] {
		return 0, 0, errUnknown
	}
	return pending + counted[3], important + counted[3], nil
}

// separate are the archives that keep security fixes apart from the rest.
var separate = []string{"Debian:", "Debian Backports:", "Ubuntu:"}

// importantOrigin judges "2.36-9 Debian:12/oldstable, Debian-Security:12/… [amd64]".
func importantOrigin(source string) bool {
	_, origins, _ := strings.Cut(source, " ")
	if strings.Contains(strings.ToLower(origins), "security") || strings.Contains(origins, "UbuntuESM") {
		return true
	}
	for origin := range strings.SplitSeq(origins, ",") {
		for _, s := range separate {
			if strings.HasPrefix(strings.TrimSpace(origin), s) {
				return false
			}
		}
	}
	return true
}

// aptChecked returns when apt last asked for lists: the stamp of a successful
// update where something writes it, else when a list last changed, than which
// the last update cannot be older.
func aptChecked(ctx context.Context, sys system.Reader) posture.Reading[time.Time] {
	for _, path := range []string{"/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/lists"} {
		s, err := sys.Stat(ctx, path)
		switch {
		case err == nil && plausible(s.Modified):
			return posture.Read(s.Modified.UTC())
		case err == nil:
			return posture.Unread[time.Time](posture.Unreadable)
		case !missing(err):
			return absentFor[time.Time](err)
		}
	}
	return unsupportedTime
}

func readDNF(ctx context.Context, sys system.Reader, s *posture.Security) {
	out, err := sys.Run(ctx, system.DNFPending)
	pending, parseErr := parseDNF(out)
	switch {
	case missing(err):
	case err != nil:
		s.UpdatesPending, s.UpdatesImportant, s.ImportantSince = absentFor[int64](err), absentFor[int64](err), absentFor[time.Time](err)
	case parseErr != nil:
		s.UpdatesPending, s.UpdatesImportant, s.ImportantSince = absentFor[int64](parseErr), absentFor[int64](parseErr), absentFor[time.Time](parseErr)
	default:
		s.UpdatesPending = posture.Read(pending)
		if pending == 0 {
			s.UpdatesImportant, s.ImportantSince = posture.Read(int64(0)), posture.Read(time.Time{})
		}
	}
	if stamp, err := sys.Stat(ctx, "/var/cache/dnf/last_makecache"); err == nil && plausible(stamp.Modified) {
		s.UpdatesCheckedAt = posture.Read(stamp.Modified.UTC())
	} else if err != nil && !missing(err) {
		s.UpdatesCheckedAt = absentFor[time.Time](err)
	}
	s.UpdatesAutomatic = dnfAutomatic(ctx, sys)
}

// parseDNF counts the lines of "check-update": name, version and repository.
// Status 100 means that there are some, 0 that there are none.
func parseDNF(out system.Output) (int64, error) {
	if out.Exit == 0 {
		return 0, nil
	}
	text, err := wholeText(out.Stdout)
	if err != nil || out.Exit != 100 {
		return 0, errUnknown
	}
	var n int64
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Obsoleting Packages") {
			break
		}
		if f := strings.Fields(line); len(f) == 3 && strings.Contains(f[0], ".") && line[0] != ' ' {
			n++
		}
	}
	if n == 0 {
		return 0, errUnknown
	}
	return n, nil
}

// dnfAutomatic reports whether dnf-automatic installs what it finds.
func dnfAutomatic(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	for _, unit := range []string{"dnf-automatic-install.timer", "dnf5-automatic.timer", "dnf-automatic.timer"} {
		set, err := unitEnabled(ctx, sys, unit)
		if err != nil {
			return absentFor[bool](err)
		}
		if !set {
			continue
		}
		if unit == "dnf-automatic-install.timer" {
			return posture.Read(true)
		}
		data, err := sys.File(ctx, "/etc/dnf/automatic.conf", configLimit)
		if err != nil && !missing(err) {
			return absentFor[bool](err)
		}
		switch strings.ToLower(parseINI(data)["commands"]["apply_updates"]) {
		case "yes", "true", "1", "on":
			return posture.Read(true)
		}
	}
	return posture.Read(false)
}
