package probe

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	softwareUpdatePrefs  = "/Library/Preferences/com.apple.SoftwareUpdate.plist"
	softwareUpdateManage = "/Library/Managed Preferences/com.apple.SoftwareUpdate.plist"
	installHistory       = "/Library/Receipts/InstallHistory.plist"
	historyLimit         = 8 << 20
)

// updatePrefs are the settings and the last findings of macOS' own updates.
// What a school's profile sets wins over what a person chose.
type updatePrefs struct{ own, managed dictionary }

func readSoftwareUpdate(ctx context.Context, sys system.Reader) (updatePrefs, error) {
	own, err := readPrefs(ctx, sys, softwareUpdatePrefs)
	if err != nil {
		return updatePrefs{}, err
	}
	managed, err := readPrefs(ctx, sys, softwareUpdateManage)
	return updatePrefs{own, managed}, err
}

// readPrefs reads a property list of settings; nothing if there is no such
// file: then nobody chose anything.
func readPrefs(ctx context.Context, sys system.Reader, path string) (dictionary, error) {
	data, err := sys.File(ctx, path, configLimit)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parsePlist(data)
}

// flag returns a setting. Every one of these is on unless somebody turns it off.
func (p updatePrefs) flag(key string) posture.Reading[bool] {
	for _, d := range []dictionary{p.managed, p.own} {
		if _, set := d[key]; set {
			return d.flag(key)
		}
	}
	return posture.Read(true)
}

// readMacUpdates fills in what macOS found when it last looked for updates.
func readMacUpdates(ctx context.Context, sys system.Reader, version posture.Reading[string], s *posture.Security) {
	prefs, err := readSoftwareUpdate(ctx, sys)
	if err != nil {
		s.UpdatesPending, s.UpdatesImportant, s.UpdatesAutomatic = absentFor[int64](err), absentFor[int64](err), absentFor[bool](err)
		s.ImportantSince, s.UpdatesCheckedAt = absentFor[time.Time](err), absentFor[time.Time](err)
	} else {
		s.UpdatesPending, s.UpdatesImportant = prefs.waiting(version)
		s.ImportantSince = unsupportedTime // macOS says when it last offered an update, not when it first did
		if s.UpdatesImportant == posture.Read[int64](0) {
			s.ImportantSince = posture.Read(time.Time{})
		}
		s.UpdatesCheckedAt = prefs.checked()
		s.UpdatesAutomatic = allOf(
			prefs.flag("AutomaticCheckEnabled"), prefs.flag("AutomaticDownload"),
			prefs.flag("AutomaticallyInstallMacOSUpdates"), prefs.flag("CriticalUpdateInstall"),
		)
	}
	s.UpdatesInstalledAt = lastInstalled(ctx, sys)
}

// waiting counts the updates that are offered. How grave what they mend is, is
// not said, so that all are important but those to the next macOS, which is
// not needed as long as this one is mended. An offer that is already installed
// stays in the list until macOS looks again, and does not count.
func (p updatePrefs) waiting(version posture.Reading[string]) (pending, important posture.Reading[int64]) {
	if p.own == nil || p.own["RecommendedUpdates"] == nil {
		return unsupported[int64](), unsupported[int64]()
	}
	list, err := p.own.list("RecommendedUpdates")
	if err != nil {
		return absentFor[int64](err), absentFor[int64](err)
	}
	var all, grave int64
	for _, u := range list {
		key := u.text("Product Key")
		if strings.HasPrefix(key, "MSU_UPDATE_") {
			if !version.Known() {
				return posture.Unread[int64](version.Absent), posture.Unread[int64](version.Absent)
			}
			if offered := u.text("Display Version"); offered != "" && compareVersions(offered, version.Value) <= 0 {
				continue
			}
		}
		all++
		if !strings.HasSuffix(key, "_major") {
			grave++
		}
	}
	return posture.Read(all), posture.Read(grave)
}

// checked returns when macOS last looked for updates with success.
func (p updatePrefs) checked() posture.Reading[time.Time] {
	for _, key := range []string{"LastFullSuccessfulDate", "LastSuccessfulDate"} {
		if r := valueOf[time.Time](p.own, key); r.Absent != posture.Unsupported {
			if r.Known() && !plausible(r.Value) {
				return posture.Unread[time.Time](posture.Unreadable)
			}
			return r
		}
	}
	return unsupportedTime
}

// lastInstalled returns when an update of macOS was last installed, by the
// history of what was. Definitions of XProtect and their like do not count.
func lastInstalled(ctx context.Context, sys system.Reader) posture.Reading[time.Time] {
	data, err := sys.File(ctx, installHistory, historyLimit)
	if missing(err) {
		return unsupportedTime
	}
	if err != nil {
		return absentFor[time.Time](err)
	}
	list, err := parsePlists(data)
	if err != nil {
		return absentFor[time.Time](err)
	}
	var last time.Time
	for _, item := range list {
		at, _ := item["date"].(time.Time)
		if isMacUpdate(item.text("displayName")) && plausible(at) && at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return unsupportedTime
	}
	return posture.Read(last)
}

func isMacUpdate(name string) bool {
	for _, prefix := range []string{"macOS ", "Safari", "Security Update", "Rapid Security Response", "Background Security Improvement"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// macRelease says how long it is known that one major version of macOS is
// mended.
type macRelease struct {
	major int
	until string // last day on which that is known; "" if it is mended no more
}

// macReleases was put together on 22 November 2026. Apple publishes no dates:
// it mends the newest version and the two before it, and brings out a new one
// each September. So the oldest that is mended is known to be until the next
// comes out; what is then, and what of a version newer than this table, is not
// known.
var macReleases = []macRelease{
	{11, ""},
	{12, ""},
	{13, ""},
	{14, ""},
	{15, "2027-08-31"},
	{26, "2028-08-31"},
	{27, "2029-08-31"},
}

// macSupport reports whether a version is still mended. When that ends, nobody
// says beforehand.
func macSupport(version posture.Reading[string], now time.Time) posture.Reading[bool] {
	if !version.Known() {
		return posture.Unread[bool](version.Absent)
	}
	first, _, _ := strings.Cut(version.Value, ".")
	major, err := strconv.Atoi(first)
	if err != nil {
		return posture.Unread[bool](posture.Unreadable)
	}
	if major == 10 {
		return posture.Read(false)
	}
	for _, r := range macReleases {
		if r.major != major {
			continue
		}
		if until, ok := lastDay(r.until); ok {
			if now.Before(until) {
				return posture.Read(true)
			}
			return unsupported[bool]()
		}
		return posture.Read(false)
	}
	return unsupported[bool]()
}
