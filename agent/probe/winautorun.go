package probe

import (
	"context"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	explorerPolicy   = `\Software\Microsoft\Windows\CurrentVersion\Policies\Explorer`
	autoplayHandlers = `\Software\Microsoft\Windows\CurrentVersion\Explorer\AutoplayHandlers`
)

// windowsAutoRun reports whether programs on media start by themselves. Since
// Windows 7 the autorun.inf of anything but an optical disc never names a
// program to start, and that of an optical disc is asked about first - unless
// policy says that it runs (NoAutorun 2) and nothing keeps it from discs. A
// stick may pretend to be a disc. Where the machine's policy is silent each
// person's counts, and of people whose settings are not loaded nothing is known.
func windowsAutoRun(ctx context.Context, sys system.Reader, who windowsPeople) posture.Reading[bool] {
	machine, err := settings(ctx, sys, `HKLM`+explorerPolicy)
	if err != nil {
		return absentFor[bool](err)
	}
	if runs, decided := discRuns(machine); decided {
		return runs
	}
	if who.err != nil {
		return absentFor[bool](who.err)
	}
	quiet := posture.Read(true)
	for _, sid := range who.loaded {
		quiet = both(quiet, not(runsFor(ctx, sys, sid, machine)))
	}
	if why := who.everybody(); why != posture.None {
		quiet = both(quiet, posture.Unread[bool](why))
	}
	return not(quiet)
}

// discRuns reports what keys say about programs on discs, and whether that
// settles it for everybody below them.
func discRuns(keys ...registryKey) (runs posture.Reading[bool], decided bool) {
	const discs = 0x20 // of NoDriveTypeAutoRun: DRIVE_CDROM
	drives, told, err := settingNumber("NoDriveTypeAutoRun", keys...)
	if err == nil && told && drives&discs != 0 {
		return posture.Read(false), true
	}
	mode, toldMode, modeErr := settingNumber("NoAutorun", keys...)
	switch {
	case modeErr == nil && toldMode && mode != 2:
		return posture.Read(false), true
	case err != nil:
		return absentFor[bool](err), true
	case modeErr != nil:
		return absentFor[bool](modeErr), true
	}
	return posture.Read(toldMode && mode == 2), false
}

// runsFor reports whether programs on discs start by themselves for one person.
func runsFor(ctx context.Context, sys system.Reader, sid string, machine registryKey) posture.Reading[bool] {
	own, err := settings(ctx, sys, `HKU\`+sid+explorerPolicy)
	if err != nil {
		return absentFor[bool](err)
	}
	runs, _ := discRuns(machine, own)
	if runs.Known() && !runs.Value {
		return runs
	}
	handlers, err := settings(ctx, sys, `HKU\`+sid+autoplayHandlers)
	if err != nil {
		return absentFor[bool](err)
	}
	off, _, err := handlers.number("DisableAutoplay")
	switch {
	case err != nil:
		return absentFor[bool](err)
	case off == 1:
		return posture.Read(false) // nothing happens when media arrive
	}
	return runs
}
