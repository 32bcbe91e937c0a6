package system

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// profiles finds where to walk on Windows: in the registry's list of people's
// profiles, in what each of them made of their well-known folders, and among
// the volumes.
type profiles struct {
	reader interface {
		Key(ctx context.Context, path string) (RegistryKey, error)
		Rows(ctx context.Context, r Rowset) ([]Values, error)
	}
	systemRoot string // such as C:\Windows
}

// profile is the folder of a person, or of all ("Public").
type profile struct {
	sid, dir string // sid is "" for the public one
}

const (
	profileList  = `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`
	shellFolders = `\Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders`
)

// wellKnown are the folders of a profile that have a class of their own or
// come early, with the name of the value that says where Windows keeps them.
var wellKnown = []struct {
	class        posture.Location
	value, usual string
}{
	{posture.OnDesktop, "Desktop", "Desktop"},
	{posture.Downloads, "{374DE290-123F-4565-9164-39C4925E467B}", "Downloads"},
	{posture.Documents, "Personal", "Documents"},
	{posture.Home, "", `AppData\Local\Programs`},
	{posture.Temp, "", `AppData\Local\Temp`},
}

// starts finds where to walk. Desktops, downloads, documents, installed
// programs, media and temporary folders come first and the rest of the
// profiles last, so that a limit cuts off what matters least.
func (f profiles) starts(ctx context.Context) (walkStarts, error) {
	var s walkStarts
	list, err := f.profiles(ctx, &s)
	if err != nil {
		return walkStarts{}, err
	}
	var temps, rest []walkStart
	for _, p := range list {
		inside, outside := f.foldersOf(ctx, p, list, &s)
		whole := walkStart{path: p.dir, class: posture.Home, except: exceptsOf(inside, "")}
		for _, start := range inside {
			start.except = exceptsOf(inside, start.below)
			if start.class == posture.Temp {
				temps = append(temps, start)
			} else {
				s.list = append(s.list, start)
			}
		}
		for _, start := range outside {
			same := func(other walkStart) bool {
				return foldName(other.path) == foldName(start.path) && other.class == start.class
			}
			if !slices.ContainsFunc(s.list, same) {
				s.list = append(s.list, start)
			}
		}
		rest = append(rest, whole)
	}
	f.media(ctx, &s)
	s.list = append(s.list, temps...)
	s.list = append(s.list, walkStart{path: f.systemRoot, below: "Temp", class: posture.Temp})
	s.list = append(s.list, rest...)
	return s, nil
}

// profiles returns the profiles of people, told by their SIDs: those of the
// machine or of a domain, and those of Entra.
func (f profiles) profiles(ctx context.Context, s *walkStarts) ([]profile, error) {
	key, err := f.reader.Key(ctx, profileList)
	if err != nil {
		return nil, err
	}
	var list []profile
	add := func(sid, text string) {
		dir, ok := localFolder(f.expand(text, nil))
		switch {
		case !ok:
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.Home), Absent: posture.NotVisible})
		case !slices.ContainsFunc(list, func(p profile) bool { return foldName(p.dir) == foldName(dir) }):
			list = append(list, profile{sid, dir})
		}
	}
	for _, sid := range key.Keys {
		if !strings.HasPrefix(sid, "S-1-5-21-") && !strings.HasPrefix(sid, "S-1-12-1-") || len(list) == maxPeople {
			continue
		}
		one, err := f.reader.Key(ctx, profileList+`\`+sid)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		dir := one.Values.Text("ProfileImagePath")
		if err != nil || !dir.Known() {
			why := Absence(err)
			if err == nil {
				why = posture.Unreadable
			}
			s.gaps = append(s.gaps, posture.Gap{Source: string(posture.Home), Absent: why})
			continue
		}
		add(sid, dir.Value)
	}
	if public := key.Values.Text("Public"); public.Known() {
		add("", public.Value)
	}
	return list, nil
}

// foldersOf returns the well-known folders of a profile: those below it, and
// those that are elsewhere on this machine. One that is on another machine is
// a gap, and is not touched.
func (f profiles) foldersOf(ctx context.Context, p profile, all []profile, s *walkStarts) (inside, outside []walkStart) {
	var said Values
	loaded := p.sid == ""
	if p.sid != "" {
		if key, err := f.reader.Key(ctx, `HKU\`+p.sid+shellFolders); err == nil {
			said, loaded = key.Values, true
		}
	}
	for _, k := range wellKnown {
		start := walkStart{path: p.dir, below: k.usual, class: k.class}
		// Where what a person set cannot be seen, a folder that is not where it
		// usually is may be anywhere.
		start.expected = !loaded && k.value != ""
		if text := said.Text(k.value); k.value != "" && text.Known() {
			dir, ok := localFolder(f.expand(text.Value, f.variables(ctx, p, text.Value)))
			switch {
			case !ok:
				s.gaps = append(s.gaps, posture.Gap{Source: string(k.class), Absent: posture.NotVisible})
				continue
			case foldName(dir) == foldName(p.dir):
				continue // there is no such folder: it is the profile itself
			case !belowFolder(p.dir, dir):
				outside = f.appendOutside(outside, walkStart{path: dir, class: k.class, expected: true}, all, s)
				continue
			}
			start.below = dir[len(p.dir)+1:]
		}
		same := func(other walkStart) bool { return foldName(other.below) == foldName(start.below) }
		if !slices.ContainsFunc(inside, same) {
			inside = append(inside, start)
		}
	}
	return inside, outside
}

// appendOutside adds a folder that somebody keeps outside of their profile,
// unless it is walked anyway or belongs to the system.
func (f profiles) appendOutside(list []walkStart, start walkStart, all []profile, s *walkStarts) []walkStart {
	drive := start.path[:2]
	for _, system := range []string{f.systemRoot, drive + `\Program Files`, drive + `\Program Files (x86)`, drive + `\ProgramData`} {
		if foldName(start.path) == foldName(system) || belowFolder(system, start.path) {
			s.gaps = append(s.gaps, posture.Gap{Source: string(start.class), Absent: posture.Unsupported})
			return list
		}
	}
	for _, p := range all {
		if foldName(start.path) == foldName(p.dir) || belowFolder(p.dir, start.path) {
			return list
		}
	}
	return append(list, start)
}

// exceptsOf lists, relative to dir in a profile, the starts that lie below it.
func exceptsOf(starts []walkStart, dir string) map[string]bool {
	except := map[string]bool{}
	for _, s := range starts {
		rest, ok := s.below, true
		if dir != "" {
			if ok = belowFolder(dir, s.below); ok {
				rest = s.below[len(dir)+1:]
			}
		}
		if ok {
			except[foldName(strings.ReplaceAll(rest, `\`, "/"))] = true
		}
	}
	return except
}

// variables returns what a person's own environment says, if a text needs it.
func (f profiles) variables(ctx context.Context, p profile, text string) map[string]string {
	vars := map[string]string{"USERPROFILE": p.dir}
	if strings.Count(text, "%") < 2 || strings.HasPrefix(strings.ToUpper(text), "%USERPROFILE%") {
		return vars
	}
	for _, name := range []string{`\Environment`, `\Volatile Environment`} {
		key, err := f.reader.Key(ctx, `HKU\`+p.sid+name)
		if err != nil {
			continue
		}
		for name := range key.Values {
			upper := strings.ToUpper(name)
			if value := key.Values.Text(name); value.Known() && vars[upper] == "" {
				vars[upper] = value.Value
			}
		}
	}
	return vars
}

// expand replaces %NAME% by what is known of it. What is not known stays, and
// then is no path.
func (f profiles) expand(text string, vars map[string]string) string {
	drive := f.systemRoot[:2]
	system := map[string]string{"SYSTEMDRIVE": drive, "SYSTEMROOT": f.systemRoot, "WINDIR": f.systemRoot}
	for range 8 { // what a name stands for may have names in it
		before, rest, _ := strings.Cut(text, "%")
		name, after, ok := strings.Cut(rest, "%")
		if !ok || len(text) > maxPath {
			return text
		}
		value := vars[strings.ToUpper(name)]
		if value == "" {
			value = system[strings.ToUpper(name)]
		}
		if value == "" {
			return text
		}
		text = before + value + after
	}
	return text
}

// localFolder returns a path on a drive of this machine as it is written here,
// such as C:\Users\ada, and whether it is one: not on another machine, not a
// name that Windows reads as something else.
func localFolder(text string) (string, bool) {
	if strings.Contains(text, "%") {
		return "", false
	}
	text = strings.TrimRight(strings.ReplaceAll(text, "/", `\`), `\`)
	drive, names, err := localPath("/" + strings.ReplaceAll(text, `\`, "/"))
	if err != nil {
		return "", false
	}
	return strings.Join(append([]string{string(rune(drive)) + ":"}, names...), `\`), true
}

// belowFolder reports whether a folder lies in another one, at any depth.
func belowFolder(dir, name string) bool {
	return len(name) > len(dir) && name[len(dir)] == '\\' && foldName(name[:len(dir)]) == foldName(dir)
}

// foldName makes names that Windows takes for the same equal. Where it does
// not, a folder is walked twice and no more.
func foldName(name string) string { return strings.ToLower(name) }

// media adds the volumes that can be taken away: those that Windows calls
// removable, discs, and those on a bus that is outside of the machine or on a
// disk that may be pulled.
func (f profiles) media(ctx context.Context, s *walkStarts) {
	gap := func(why posture.Absence) {
		s.gaps = append(s.gaps, posture.Gap{Source: string(posture.OnMedia), Absent: why})
	}
	volumes, err := f.reader.Rows(ctx, DiskVolumes)
	if err != nil {
		gap(Absence(err))
		return
	}
	pulled := map[int64]bool{}
	disks, err := f.reader.Rows(ctx, Disks)
	for _, d := range disks {
		if n := d.Number("Number"); n.Known() {
			policy := d.Number("RemovalPolicy").Value
			pulled[n.Value] = policy == 2 || policy == 3 // CM_REMOVAL_POLICY_EXPECT_…_REMOVAL
		}
	}
	for _, v := range volumes {
		id, mounts := v.Text("DeviceID"), v.Texts("Mounts")
		if !id.Known() || len(mounts.Value) == 0 {
			continue // nobody can open anything there
		}
		switch away := canBeTaken(v, pulled, err == nil); {
		case !away.Known():
			gap(away.Absent)
		case away.Value:
			s.list = append(s.list, walkStart{path: id.Value, class: posture.OnMedia})
		}
	}
}

// canBeTaken reports whether a volume is on a medium that can be taken away.
func canBeTaken(v Values, pulled map[int64]bool, disks bool) posture.Reading[bool] {
	const removable, fixed, disc = 2, 3, 5 // of GetDriveType
	const firewire, usb, sd = 4, 7, 12     // STORAGE_BUS_TYPE
	kind, bus := v.Number("DriveType"), v.Number("BusType")
	switch {
	case kind.Value == removable, kind.Value == disc:
		return posture.Read(true)
	case v.Flag("System").Value:
		return posture.Read(false)
	case kind.Known() && kind.Value != fixed:
		return posture.Read(false) // another machine's, or in memory
	case bus.Known() && (bus.Value == firewire || bus.Value == usb || bus.Value == sd):
		return posture.Read(true)
	}
	for _, n := range v.Numbers("Disks").Value {
		if pulled[n] {
			return posture.Read(true)
		}
	}
	if !bus.Known() && !(disks && v.Numbers("Disks").Known()) {
		return posture.Unread[bool](bus.Absent)
	}
	return posture.Read(false)
}
