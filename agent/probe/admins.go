package probe

import (
	"context"
	"encoding/binary"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

type group struct {
	name    string
	gid     uint32
	members []string
}

func readGroups(ctx context.Context, sys system.Reader) ([]group, error) {
	data, err := sys.File(ctx, "/etc/group", tableLimit)
	if err != nil {
		return nil, err
	}
	text, err := wholeText(data)
	if err != nil {
		return nil, err
	}
	return parseGroups(text)
}

func parseGroups(text string) ([]group, error) {
	var list []group
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.ContainsRune("#+-", rune(line[0])) {
			continue
		}
		f := strings.Split(line, ":")
		if len(f) != 4 || f[0] == "" {
			return nil, errUnknown
		}
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return nil, errUnknown
		}
		g := group{name: f[0], gid: uint32(gid)}
		for m := range strings.SplitSeq(f[3], ",") {
			if m = strings.TrimSpace(m); m != "" {
				g.members = append(g.members, m)
			}
		}
		list = append(list, g)
	}
	if len(list) == 0 {
		return nil, errUnknown
	}
	return list, nil
}

// administrators counts the people's accounts that can administer the machine:
// members of its groups of administrators, those that sudo lets do everything,
// and second names for root. It also decides whether the person who mostly
// uses the machine is one of them. Who that is stays here.
func administrators(ctx context.Context, sys system.Reader, p people, groups []group, err error) (posture.Reading[int64], posture.Reading[bool]) {
	if err != nil {
		return absentFor[int64](err), absentFor[bool](err)
	}
	rules, err := readSudoers(ctx, sys)
	if err != nil {
		return absentFor[int64](err), absentFor[bool](err)
	}
	if rules.unclear {
		return unsupported[int64](), unsupported[bool]()
	}
	if p.elsewhere {
		// Accounts of a directory may be members too; they are not seen.
		return posture.Unread[int64](posture.NotVisible), posture.Unread[bool](posture.NotVisible)
	}
	var persons, admins []account
	for _, a := range p.accounts {
		switch {
		case a.uid == 0 && a.name != "root" && a.signsIn():
			admins = append(admins, a)
		case a.person():
			persons = append(persons, a)
			if rules.admits(a, groups) {
				admins = append(admins, a)
			}
		}
	}
	return posture.Read(int64(len(admins))), dailyAdmin(ctx, sys, persons, admins)
}

func (s sudoers) admits(a account, groups []group) bool {
	if slices.Contains(s.users, a.name) {
		return true
	}
	for _, g := range groups {
		// These are administrators to polkit as well, whatever sudo says.
		admin := g.name == "sudo" || g.name == "wheel" || g.name == "admin" || slices.Contains(s.groups, g.name)
		if admin && (a.gid == g.gid || slices.Contains(g.members, a.name)) {
			return true
		}
	}
	return false
}

// dailyAdmin answers without knowing who uses the machine where it can: if all
// are administrators or none is. Otherwise the log of sessions says who was
// signed in most.
func dailyAdmin(ctx context.Context, sys system.Reader, persons, admins []account) posture.Reading[bool] {
	among := 0
	for _, p := range persons {
		if slices.Contains(admins, p) {
			among++
		}
	}
	switch {
	case len(persons) == 0:
		return unsupported[bool]() // nobody's machine yet
	case among == 0:
		return posture.Read(false)
	case among == len(persons):
		return posture.Read(true)
	}
	const window = 4 << 20
	s, err := sys.Stat(ctx, "/var/log/wtmp")
	if missing(err) {
		return unsupported[bool]()
	}
	if err != nil {
		return absentFor[bool](err)
	}
	from := max(0, s.Size-window) / utmpSize * utmpSize
	data, err := sys.Part(ctx, "/var/log/wtmp", from, window+utmpSize)
	if err != nil {
		return absentFor[bool](err)
	}
	names := make([]string, 0, len(persons))
	for _, p := range persons {
		names = append(names, p.name)
	}
	daily, ok := longestSignedIn(data, names)
	if !ok {
		return unsupported[bool]()
	}
	return posture.Read(slices.ContainsFunc(admins, func(a account) bool { return a.name == daily }))
}

const utmpSize = 384 // bytes of one record of wtmp with glibc, on 64 bits

// longestSignedIn adds up sessions in the log of sign-ins and returns the
// person with the most time; false if nobody leads.
func longestSignedIn(log []byte, names []string) (string, bool) {
	const (
		bootTime, userProcess, deadProcess = 2, 7, 8
		day                                = 24 * 60 * 60
	)
	type session struct {
		user  string
		since int64
	}
	open := map[string]session{}
	total := map[string]int64{}
	closeSession := func(line string, at int64) {
		if s, ok := open[line]; ok {
			total[s.user] += min(max(at-s.since, 0), day) // one left open for weeks is not use
			delete(open, line)
		}
	}
	for ; len(log) >= utmpSize; log = log[utmpSize:] {
		kind := binary.LittleEndian.Uint16(log)
		line, user := cString(log[8:40]), cString(log[44:76])
		at := int64(binary.LittleEndian.Uint32(log[340:]))
		switch kind {
		case bootTime:
			for l := range open {
				closeSession(l, at)
			}
		case userProcess:
			closeSession(line, at)
			if slices.Contains(names, user) {
				open[line] = session{user, at}
			}
		case deadProcess:
			closeSession(line, at)
		}
	}
	best, second := "", int64(0)
	for _, n := range names {
		switch {
		case best == "" || total[n] > total[best]:
			if best != "" {
				second = total[best]
			}
			best = n
		case total[n] > second:
			second = total[n]
		}
	}
	return best, best != "" && total[best] > second
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// sudoers is who may do everything by sudo.
type sudoers struct {
	users, groups []string
	unclear       bool // a rule was not understood
}

// readSudoers reads /etc/sudoers and its folder. Rules beyond "somebody may do
// everything" are not followed: with any, who is an administrator is unclear.
func readSudoers(ctx context.Context, sys system.Reader) (sudoers, error) {
	var s sudoers
	files := []string{"/etc/sudoers"}
	list, err := entries(ctx, sys, "/etc/sudoers.d")
	if err != nil {
		return s, err
	}
	for _, e := range list {
		// sudo passes over these names itself.
		if e.Type != fs.ModeDir && !strings.Contains(e.Name, ".") && !strings.HasSuffix(e.Name, "~") {
			files = append(files, "/etc/sudoers.d/"+e.Name)
		}
	}
	for _, f := range files {
		data, err := sys.File(ctx, f, configLimit)
		if missing(err) {
			continue
		}
		if err != nil {
			return s, err
		}
		text, err := wholeText(data)
		if err != nil {
			return s, err
		}
		s.parse(text)
	}
	return s, nil
}

func (s *sudoers) parse(text string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#include ") || strings.HasPrefix(line, "@include ") {
			s.unclear = true
			continue
		}
		if dir, ok := strings.CutPrefix(strings.TrimLeft(line, "@#"), "includedir "); ok {
			s.unclear = s.unclear || strings.TrimSpace(dir) != "/etc/sudoers.d"
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		who, what, ok := strings.Cut(strings.TrimSpace(line), " ")
		if tab, rest, cut := strings.Cut(strings.TrimSpace(line), "\t"); cut && len(tab) < len(who) {
			who, what, ok = tab, rest, true
		}
		switch {
		case who == "":
		case strings.HasPrefix(who, "Defaults"):
			s.unclear = s.unclear || strings.Contains(what, "targetpw") || strings.Contains(what, "rootpw")
		case !ok, strings.HasSuffix(who, "_Alias"), who == "ALL", strings.ContainsAny(who, ",+!\"\\"):
			s.unclear = true
		default:
			s.grant(who, what)
		}
	}
}

// grant takes in one rule. A rule for single commands makes nobody an
// administrator by itself, but what the commands can do is not known here.
func (s *sudoers) grant(who, what string) {
	_, commands, ok := strings.Cut(what, "=")
	if !ok {
		s.unclear = true
		return
	}
	commands = strings.TrimSpace(commands)
	if strings.HasPrefix(commands, "(") {
		if _, commands, ok = strings.Cut(commands, ")"); !ok {
			s.unclear = true
			return
		}
	}
	commands = strings.TrimSpace(commands)
	for _, tag := range []string{"NOPASSWD:", "PASSWD:", "SETENV:"} {
		commands = strings.TrimSpace(strings.TrimPrefix(commands, tag))
	}
	group, isGroup := strings.CutPrefix(who, "%")
	switch {
	case commands != "ALL":
		s.unclear = s.unclear || who != "root"
	case isGroup && !strings.HasPrefix(group, "#") && !strings.HasPrefix(group, ":"):
		s.groups = append(s.groups, group)
	case isGroup, strings.HasPrefix(who, "#"):
		s.unclear = true
	default:
		s.users = append(s.users, who)
	}
}
