package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	windowsUpdatePolicy = `HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU`
	windowsUpdateMDM    = `HKLM\SOFTWARE\Microsoft\PolicyManager\current\device\Update`
	windowsUpdateState  = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update`
	servicingState      = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing`
)

// windowsRebootDue reports whether an update waits for a restart. Windows says
// so by keys that are there or not; that there is none is only said where the
// keys that hold them could be listed. Files that wait to be renamed
// (PendingFileRenameOperations) are no sign: any installer leaves them.
func windowsRebootDue(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	due := posture.Read(false)
	for _, place := range []struct{ key, holds string }{
		{windowsUpdateState, "RebootRequired"}, {servicingState, "RebootPending"},
	} {
		key, err := mustSettings(ctx, sys, place.key)
		switch {
		case err != nil:
			due = absentFor[bool](err)
		case key.holds(place.holds):
			return posture.Read(true)
		}
	}
	return due
}

// windowsUpdates fills in what Windows itself knows about updates, asking
// nobody outside, and returns which questions it did not answer.
func windowsUpdates(ctx context.Context, sys system.Reader, q Question, running serviceList, s *posture.Security) []posture.Gap {
	var gaps []posture.Gap
	row, err := onlyRow(ctx, sys, system.WindowsUpdate)
	if err != nil {
		gaps = append(gaps, rowsetGap(system.WindowsUpdate, err))
		s.UpdatesCheckedAt, s.UpdatesInstalledAt = absentFor[time.Time](err), absentFor[time.Time](err)
	} else {
		s.UpdatesCheckedAt = windowsMoment(row, "LastSearchSuccess")
		if s.UpdatesCheckedAt.Known() && s.UpdatesCheckedAt.Value.IsZero() {
			s.UpdatesCheckedAt = unsupportedTime // never: there is no such moment
		}
		s.UpdatesInstalledAt = windowsMoment(row, "LastInstallationSuccess")
	}
	s.UpdatesAutomatic = windowsAutomatic(ctx, sys, running, row, err)
	// Last, because it is the slowest by far.
	waiting, err := recall(q.Memory, "windows-updates", q.Now,
		func() (string, error) { return windowsUpdateInputs(ctx, sys) },
		func() (waitingWindows, error) {
			w, err := windowsPending(ctx, sys)
			if err == nil && !w.Important.Known() {
				err = errFailed // only what could be read is remembered
			}
			return w, err
		})
	if err != nil && !errors.Is(err, errFailed) {
		s.UpdatesPending, s.UpdatesImportant, s.ImportantSince = absentFor[int64](err), absentFor[int64](err), absentFor[time.Time](err)
		return append(gaps, rowsetGap(system.WindowsUpdateList, err))
	}
	s.UpdatesPending, s.UpdatesImportant, s.ImportantSince = waiting.Pending, waiting.Important, waiting.Since
	return gaps
}

// windowsMoment reads a moment of Windows Update; the zero time is "never".
func windowsMoment(row system.Values, name string) posture.Reading[time.Time] {
	if v, there := row.Get(name); there && v.IsNull() {
		return posture.Read(time.Time{})
	}
	text := row.Text(name)
	if !text.Known() {
		return posture.Unread[time.Time](text.Absent)
	}
	t, err := time.Parse(time.RFC3339, text.Value)
	switch {
	case err == nil && t.Year() < neverSince:
		return posture.Read(time.Time{})
	case err != nil, !plausible(t):
		return posture.Unread[time.Time](posture.Unreadable)
	}
	return posture.Read(t.UTC())
}

// windowsUpdateInputs tells whether the list of updates can have changed: it
// does when Windows asks for updates or installs some.
func windowsUpdateInputs(ctx context.Context, sys system.Reader) (string, error) {
	row, err := onlyRow(ctx, sys, system.WindowsUpdate)
	if err != nil {
		return "", err
	}
	key, err := mustSettings(ctx, sys, versionKey)
	if err != nil {
		return "", err
	}
	reboot := windowsRebootDue(ctx, sys)
	build, _ := key.Values.Get("CurrentBuildNumber")
	revision, _ := key.Values.Get("UBR")
	inputs := []any{build, revision, reboot}
	for _, name := range []string{"LastSearchSuccess", "LastInstallationSuccess"} {
		at := row.Text(name)
		if !at.Known() {
			return "", errUnknown
		}
		inputs = append(inputs, at)
	}
	data, err := json.Marshal(inputs)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// waitingWindows counts the updates that Windows knows and has not installed.
type waitingWindows struct {
	Pending   posture.Reading[int64]     `json:"pending"`
	Important posture.Reading[int64]     `json:"important"`
	Since     posture.Reading[time.Time] `json:"since"`
}

// windowsPending counts what waits, by what Windows found when it last asked.
func windowsPending(ctx context.Context, sys system.Reader) (waitingWindows, error) {
	rows, err := sys.Rows(ctx, system.WindowsUpdateList)
	if err != nil {
		return waitingWindows{}, err
	}
	w := waitingWindows{Pending: posture.Read(int64(len(rows))), Important: posture.Read(int64(0)), Since: posture.Read(time.Time{})}
	for _, row := range rows {
		important := importantUpdate(row)
		switch {
		case !important.Known():
			w.Important, w.Since = posture.Unread[int64](important.Absent), posture.Unread[time.Time](important.Absent)
			return w, nil
		case !important.Value:
			continue
		}
		w.Important.Value++
		at := windowsMoment(row, "Deployed")
		if at.Known() && at.Value.IsZero() {
			at = unsupportedTime
		}
		switch {
		case !at.Known():
			w.Since = at
		case w.Since.Known() && (w.Since.Value.IsZero() || at.Value.Before(w.Since.Value)):
			w.Since = at
		}
	}
	return w, nil
}

// upgrades is the category of new versions of Windows, which mend nothing: when
// an old version ends, that is a fact of its own.
const upgrades = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5"

// importantUpdate reports whether an update mends something that matters:
// Microsoft calls it critical or important, or does not say how severe it is.
// A driver does not count, nor a new version, nor what is only offered to who
// looks for it.
func importantUpdate(row system.Values) posture.Reading[bool] {
	kind := row.Number("Type")
	if kind.Known() && kind.Value == 2 {
		return posture.Read(false)
	}
	categories := row.Texts("Categories")
	isUpgrade := slices.ContainsFunc(categories.Value, func(c string) bool { return strings.EqualFold(strings.Trim(c, "{}"), upgrades) })
	browse := row.Flag("BrowseOnly")
	severity := row.Text("Severity")
	minor := slices.ContainsFunc([]string{"moderate", "low"}, func(w string) bool { return strings.EqualFold(strings.TrimSpace(severity.Value), w) })
	if isUpgrade || browse.Known() && browse.Value || severity.Known() && minor {
		return posture.Read(false)
	}
	for _, why := range []posture.Absence{kind.Absent, categories.Absent, browse.Absent, severity.Absent} {
		if why != posture.None && why != posture.Unsupported {
			return posture.Unread[bool](why)
		}
	}
	return posture.Read(true)
}

// windowsAutomatic reports whether updates install by themselves: a service
// that may not run settles it, then the policy of the domain, then the one of a
// management service, then the setting.
func windowsAutomatic(ctx context.Context, sys system.Reader, running serviceList, row system.Values, rowErr error) posture.Reading[bool] {
	able := not(running.disabled("wuauserv", "UsoSvc"))
	if able.Known() && !able.Value {
		return able
	}
	return both(able, automaticSetting(ctx, sys, row, rowErr))
}

func automaticSetting(ctx context.Context, sys system.Reader, row system.Values, rowErr error) posture.Reading[bool] {
	policy, err := settings(ctx, sys, windowsUpdatePolicy)
	if err != nil {
		return absentFor[bool](err)
	}
	never, _, neverErr := policy.number("NoAutoUpdate")
	option, there, err := policy.number("AUOptions")
	switch {
	case neverErr == nil && never == 1:
		return posture.Read(false)
	case neverErr != nil:
		return absentFor[bool](neverErr)
	case err != nil:
		return absentFor[bool](err)
	case there && option == 4: // downloads and installs
		return posture.Read(true)
	case there && (option == 2 || option == 3 || option == 7): // asks before it installs
		return posture.Read(false)
	}
	mdm, err := settings(ctx, sys, windowsUpdateMDM)
	if err != nil {
		return absentFor[bool](err)
	}
	switch allow, there, err := mdm.number("AllowAutoUpdate"); {
	case err != nil:
		return absentFor[bool](err)
	case there && allow >= 1 && allow <= 4:
		return posture.Read(true)
	case there && (allow == 0 || allow == 5):
		return posture.Read(false)
	}
	if rowErr != nil {
		return absentFor[bool](rowErr)
	}
	enabled, level := row.Flag("ServiceEnabled"), row.Number("NotificationLevel")
	switch {
	case enabled.Known() && !enabled.Value:
		return posture.Read(false)
	case !enabled.Known() && enabled.Absent != posture.Unsupported:
		return posture.Unread[bool](enabled.Absent)
	case !level.Known():
		return posture.Unread[bool](level.Absent)
	case level.Value == 4: // aunlScheduledInstallation
		return posture.Read(true)
	case level.Value >= 1 && level.Value <= 3:
		return posture.Read(false)
	}
	return unsupported[bool]()
}
