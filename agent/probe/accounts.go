package probe

import (
	"context"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// account is one line of /etc/passwd. It never leaves this package: facts hold
// counts and one yes or no.
type account struct {
	name, password, home, shell string
	uid, gid                    uint32
}

// person reports whether the account is a human being's by the numbers that
// every distribution keeps: from 1000, below 60000 where services begin again.
func (a account) person() bool { return a.uid >= 1000 && a.uid < 60000 && a.signsIn() }

// signsIn reports whether the account has a shell that lets somebody in.
func (a account) signsIn() bool {
	for _, no := range []string{"/nologin", "/false", "/sync", "/shutdown", "/halt"} {
		if strings.HasSuffix(a.shell, no) {
			return false
		}
	}
	return true // an empty shell means /bin/sh
}

// people is everybody who has an account or a folder.
type people struct {
	accounts []account
	homes    []string // of people, sorted; also of those whose account is elsewhere
	// elsewhere says that accounts also come from a directory service, which
	// is not asked.
	elsewhere bool
}

const homeLimit = 512 // folders of people; more are a server's

// readPeople reads the accounts and looks for folders below /home.
func readPeople(ctx context.Context, sys system.Reader) (people, error) {
	var p people
	data, err := sys.File(ctx, "/etc/passwd", tableLimit)
	if err != nil {
		return p, err
	}
	text, err := wholeText(data)
	if err != nil {
		return p, err
	}
	var plus bool
	if p.accounts, plus, err = parsePasswd(text); err != nil {
		return p, err
	}
	data, err = sys.File(ctx, "/etc/nsswitch.conf", configLimit)
	if err != nil && !missing(err) {
		return p, err
	}
	sssd, err := anyExists(ctx, sys, "/etc/sssd/sssd.conf", "/etc/sssd/conf.d")
	if err != nil {
		return p, err
	}
	p.elsewhere = plus || namesElsewhere(string(data), sssd)
	for _, a := range p.accounts {
		if a.person() && strings.HasPrefix(a.home, "/") {
			p.homes = append(p.homes, strings.TrimRight(a.home, "/"))
		}
	}
	folders, err := entries(ctx, sys, "/home")
	if err != nil {
		return p, err
	}
	for _, f := range folders {
		if f.Type == fs.ModeDir && f.Name != "lost+found" {
			p.homes = append(p.homes, "/home/"+f.Name)
		}
	}
	slices.Sort(p.homes)
	p.homes = slices.DeleteFunc(slices.Compact(p.homes), func(h string) bool { return h == "" })
	if len(p.homes) > homeLimit {
		return p, errTooMany
	}
	return p, nil
}

// parsePasswd reads /etc/passwd; plus says that a line asks for accounts from
// elsewhere.
func parsePasswd(text string) (list []account, plus bool, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '+' || line[0] == '-' {
			plus = true
			continue
		}
		f := strings.Split(line, ":")
		if len(f) != 7 || f[0] == "" {
			return nil, false, errUnknown
		}
		uid, uidErr := strconv.ParseUint(f[2], 10, 32)
		gid, gidErr := strconv.ParseUint(f[3], 10, 32)
		if uidErr != nil || gidErr != nil {
			return nil, false, errUnknown
		}
		list = append(list, account{name: f[0], password: f[1], home: f[5], shell: f[6], uid: uint32(uid), gid: uint32(gid)})
	}
	if len(list) == 0 {
		return nil, false, errUnknown // a system without accounts is a file cut short
	}
	return list, plus, nil
}

// namesElsewhere reports whether nsswitch.conf sends questions about accounts
// to anything but the local files. Some distributions name sss whether or not
// there is an sssd to ask.
func namesElsewhere(text string, sssd bool) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		services, ok := strings.CutPrefix(strings.TrimSpace(line), "passwd:")
		if !ok {
			continue
		}
		for _, s := range strings.Fields(services) {
			if s == "sss" && !sssd {
				continue
			}
			if !strings.HasPrefix(s, "[") && !strings.HasSuffix(s, "]") &&
				!slices.Contains([]string{"files", "compat", "systemd", "mymachines", "altfiles"}, s) {
				return true
			}
		}
	}
	return false
}

// passwordSet reports whether no account that can sign in has an empty
// password, or signs in without one by belonging to "nopasswdlogin".
func passwordSet(ctx context.Context, sys system.Reader, p people, groups []group, groupsErr error) posture.Reading[bool] {
	data, err := sys.File(ctx, "/etc/shadow", tableLimit)
	if err != nil && !missing(err) {
		return absentFor[bool](err)
	}
	text, parseErr := wholeText(data)
	if parseErr != nil {
		return absentFor[bool](parseErr)
	}
	shadow, parseErr := parseShadow(text)
	if parseErr != nil {
		return absentFor[bool](parseErr)
	}
	lost := false // an account whose line is not there: the file may be cut short
	for _, a := range p.accounts {
		if !a.signsIn() {
			continue
		}
		if a.password == "" {
			return posture.Read(false)
		}
		if a.password != "x" || missing(err) {
			continue
		}
		hash, ok := shadow[a.name]
		if ok && hash == "" {
			return posture.Read(false)
		}
		lost = lost || !ok
	}
	if groupsErr != nil {
		return absentFor[bool](groupsErr)
	}
	for _, g := range groups {
		if g.name == "nopasswdlogin" && len(g.members) > 0 {
			return posture.Read(false)
		}
	}
	switch {
	case missing(err):
		return posture.Unread[bool](posture.Unsupported) // passwords are kept where we do not know
	case lost:
		return posture.Unread[bool](posture.Unreadable)
	case p.elsewhere:
		return posture.Unread[bool](posture.NotVisible) // the directory's passwords are not seen from here
	}
	return posture.Read(true)
}

// parseShadow reads /etc/shadow into the password field of each account, of
// which only its emptiness is looked at.
func parseShadow(text string) (map[string]string, error) {
	shadow := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) == 1 && f[0] == "" || strings.HasPrefix(f[0], "+") || strings.HasPrefix(f[0], "-") {
			continue
		}
		if len(f) < 3 || f[0] == "" {
			return nil, errUnknown
		}
		shadow[f[0]] = f[1]
	}
	return shadow, nil
}
