package probe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsAutoLogon reports whether somebody is signed in at start without a
// password. Who that is stays unread.
func windowsAutoLogon(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	key, err := mustSettings(ctx, sys, winlogon)
	if err != nil {
		return absentFor[bool](err)
	}
	on, there, err := key.number("AutoAdminLogon")
	switch {
	case err != nil:
		return absentFor[bool](err)
	case !there:
		return posture.Read(false)
	}
	return posture.Read(on == 1)
}

// localAccount is one local account. It never leaves this package.
type localAccount struct {
	sid   string
	flags posture.Reading[int64]
}

func (a localAccount) disabled() posture.Reading[bool] {
	const disabled = 0x2 // UF_ACCOUNTDISABLE
	return flagged(a.flags, disabled)
}

func (a localAccount) mayHaveNone() posture.Reading[bool] {
	const noPassword = 0x20 // UF_PASSWD_NOTREQD
	return flagged(a.flags, noPassword)
}

func flagged(flags posture.Reading[int64], bit int64) posture.Reading[bool] {
	if !flags.Known() {
		return posture.Unread[bool](flags.Absent)
	}
	return posture.Read(flags.Value&bit != 0)
}

func readLocalAccounts(ctx context.Context, sys system.Reader) ([]localAccount, error) {
	rows, err := sys.Rows(ctx, system.Accounts)
	switch {
	case missing(err):
		return nil, errLost
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errLost // some are built in, and cannot be removed
	}
	var list []localAccount
	for _, row := range rows {
		sid := row.Text("SID")
		if !sid.Known() {
			return nil, errUnknown
		}
		list = append(list, localAccount{sid.Value, row.Number("Flags")})
	}
	return list, nil
}

// leftBehind reports whether a profile is of a local account that is switched
// off or was removed. Which accounts are of this machine, the built-in
// administrator's identifier says, which all others but its end share.
func leftBehind(sid string, accounts []localAccount) bool {
	const administrator = "-500"
	ours := false
	for _, a := range accounts {
		if a.sid == sid {
			off := a.disabled()
			return off.Known() && off.Value
		}
		if machine, ok := strings.CutSuffix(a.sid, administrator); ok && isPerson(a.sid) {
			number, under := strings.CutPrefix(sid, machine+"-")
			ours = ours || under && !strings.Contains(number, "-")
		}
	}
	return ours
}

// passwordRequired reports whether no local account that can sign in may have
// an empty password: none is marked as one that may, and passwords have a least
// length. The mark alone proves nothing, for an account without it may have an
// empty password as long as no length is asked for. Nobody ever tries to sign
// in to find out.
func passwordRequired(ctx context.Context, sys system.Reader, accounts []localAccount, err error) posture.Reading[bool] {
	if err != nil {
		return absentFor[bool](err)
	}
	required, anybody := posture.Read(true), posture.Read(false)
	for _, a := range accounts {
		enabled := not(a.disabled())
		required = both(required, not(both(enabled, a.mayHaveNone())))
		if !anybody.Value {
			anybody = enabled
		}
	}
	switch {
	case required.Known() && !required.Value, !required.Known():
		return required
	case anybody.Known() && !anybody.Value:
		return required // nobody signs in with a password of this machine
	}
	row, err := onlyRow(ctx, sys, system.MachineRow)
	if err != nil {
		return absentFor[bool](err)
	}
	least := row.Number("MinPasswordLength")
	switch {
	case !least.Known():
		return posture.Unread[bool](least.Absent)
	case least.Value > 0:
		return required
	}
	return unsupported[bool]()
}

// windowsAdmin is somebody, or a group, that may administer the machine.
type windowsAdmin struct {
	sid string
	use posture.Reading[int64]
}

// What kinds of things a security identifier stands for (SID_NAME_USE).
const (
	useUser    = 1
	useDeleted = 6
)

func readAdministrators(ctx context.Context, sys system.Reader) ([]windowsAdmin, error) {
	rows, err := sys.Rows(ctx, system.Administrators)
	switch {
	case missing(err):
		return nil, errLost
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errLost // the built-in administrator is always one
	}
	var list []windowsAdmin
	for _, row := range rows {
		sid := row.Text("SID")
		if !sid.Known() {
			return nil, errUnknown
		}
		list = append(list, windowsAdmin{sid.Value, row.Number("Use")})
	}
	return list, nil
}

// windowsAdministrators counts the people's accounts that can administer the
// machine, and decides whether the person who mostly uses it is one of them.
// Who is in a group of the domain or in a role of Entra cannot be seen from
// here: with one among the administrators there may be more of them.
func windowsAdministrators(
	ctx context.Context, sys system.Reader, accounts []localAccount, accountsErr error,
) (posture.Reading[int64], posture.Reading[bool], []posture.Gap) {
	members, err := readAdministrators(ctx, sys)
	var gaps []posture.Gap
	if err != nil {
		gaps = append(gaps, rowsetGap(system.Administrators, err))
	}
	profiles, profilesErr := profiles(ctx, sys)
	for _, err := range []error{err, accountsErr, profilesErr} {
		if err != nil {
			return absentFor[int64](err), absentFor[bool](err), gaps
		}
	}
	count, open := posture.Read(int64(0)), posture.None
	for _, m := range members {
		switch is, why := m.person(accounts, profiles); {
		case why != posture.None:
			open = why
		case is:
			count.Value++
		}
	}
	if open != posture.None {
		count = posture.Unread[int64](open)
	}
	sessions, err := sys.Rows(ctx, system.Sessions)
	if err != nil {
		return count, absentFor[bool](err), []posture.Gap{rowsetGap(system.Sessions, err)}
	}
	daily := findDailyUser(ctx, sys, sessions, profiles)
	if daily.absent != posture.None {
		return count, posture.Unread[bool](daily.absent), nil
	}
	return count, daily.administers(members, accounts, open), nil
}

// person reports whether a member is a person's account that can sign in, or
// why that cannot be told.
func (m windowsAdmin) person(accounts []localAccount, profiles []string) (bool, posture.Absence) {
	for _, a := range accounts {
		if a.sid == m.sid {
			off := a.disabled()
			return off.Known() && !off.Value, off.Absent
		}
	}
	switch {
	case slices.Contains(profiles, m.sid):
		return true, posture.None // whatever Windows calls it, somebody signed in as it
	case !m.use.Known():
		return false, m.use.Absent
	case m.use.Value == useDeleted:
		return false, posture.None
	case m.use.Value == useUser && isPerson(m.sid):
		return true, posture.None
	}
	return false, posture.NotVisible
}

// wideGroups are those that everybody belongs to who signs in: Everyone,
// Interactive, Authenticated Users, Users.
var wideGroups = []string{"S-1-1-0", "S-1-5-4", "S-1-5-11", "S-1-5-32-545"}

// dailyUser is who mostly uses the machine: whoever is signed in at it, else
// whose profile was loaded last. It never leaves this package.
type dailyUser struct {
	sid string
	// token says whether the token of the session names the administrators;
	// only if it is signed in.
	token  posture.Reading[bool]
	absent posture.Absence // why it cannot be told who that is
}

func findDailyUser(ctx context.Context, sys system.Reader, sessions []system.Values, profiles []string) dailyUser {
	for _, row := range sessions {
		console, sid := row.Flag("Console"), row.Text("SID")
		switch {
		case !console.Known():
			return dailyUser{absent: console.Absent}
		case !console.Value, sid.Absent == posture.Unsupported: // nobody has signed in there
		case !sid.Known():
			return dailyUser{absent: sid.Absent}
		case isPerson(sid.Value):
			return dailyUser{sid.Value, row.Flag("Administrator"), posture.None}
		}
	}
	sid, absent := lastLoaded(ctx, sys, profiles)
	return dailyUser{sid, unsupported[bool](), absent}
}

// administers reports whether the person can administer the machine: as a
// member, or by the token of the session, which knows the groups of a domain
// and the roles of Entra too. Without one only a local account, which belongs
// to neither, is known not to.
func (d dailyUser) administers(members []windowsAdmin, accounts []localAccount, open posture.Absence) posture.Reading[bool] {
	for _, m := range members {
		if m.sid == d.sid || slices.Contains(wideGroups, m.sid) {
			return posture.Read(true)
		}
	}
	if d.token.Absent != posture.Unsupported {
		return d.token
	}
	local := slices.ContainsFunc(accounts, func(a localAccount) bool { return a.sid == d.sid })
	if local || open == posture.None {
		return posture.Read(false)
	}
	return posture.Unread[bool](open)
}

// lastLoaded returns whose profile was loaded last.
func lastLoaded(ctx context.Context, sys system.Reader, profiles []string) (string, posture.Absence) {
	daily, last := "", int64(0)
	for _, sid := range profiles {
		key, err := profileKey(ctx, sys, sid)
		if err != nil {
			return "", system.Absence(err)
		}
		high, _, highErr := key.number("LocalProfileLoadTimeHigh")
		low, _, lowErr := key.number("LocalProfileLoadTimeLow")
		switch at := high<<32 | low&0xffffffff; {
		case highErr != nil:
			return "", system.Absence(highErr)
		case lowErr != nil:
			return "", system.Absence(lowErr)
		case at > last:
			daily, last = sid, at
		}
	}
	switch {
	case daily != "":
		return daily, posture.None
	case len(profiles) == 1:
		return profiles[0], posture.None
	}
	return "", posture.Unsupported // nobody's machine yet, or a system that does not tell
}

// profileKey reads what Windows keeps of a profile that profiles named.
func profileKey(ctx context.Context, sys system.Reader, sid string) (registryKey, error) {
	key, err := mustSettings(ctx, sys, profileList+`\`+sid)
	if errors.Is(err, errLost) {
		return mustSettings(ctx, sys, profileList+`\`+sid+".bak")
	}
	return key, err
}
