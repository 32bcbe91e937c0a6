package probe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsSources are the sources of programs on Windows. Win32_Product is not
// among them: asking it repairs programs.
var windowsSources = []programSource{
	{"programs installed for everybody", uninstallPrograms},
	{"32-bit programs installed for everybody", uninstall32},
	{"programs of people", uninstallOfPeople},
	{"programs of people who are not signed in", programsOfHidden},
	{"store apps", storePrograms},
}

// everybodysSources are those of a device that is also its user's own: the
// names of what people chose for themselves stay on it.
var everybodysSources = []programSource{
	windowsSources[0],
	windowsSources[1],
	{peoplesOwn, withheldPrograms},
	{"store apps for everybody", storeForEverybody},
}

// peoplesOwn names what is not listed on a device that is also its user's own.
const peoplesOwn = "programs of people, on a device that is also their own"

// Outdated reports whether a list of programs was made before the device became its
// user's own too, or while it was: it then tells more than it may now, or less.
func Outdated(platform posture.Platform, list posture.Answer[posture.Program], personalUse bool) bool {
	withheld := slices.ContainsFunc(list.Gaps, func(g posture.Gap) bool { return g.Source == peoplesOwn })
	return platform == posture.Windows && list.Absent == posture.None && withheld != personalUse
}

// windowsPrograms lists what is installed on Windows.
func windowsPrograms(ctx context.Context, sys system.Reader, personalUse bool) posture.Answer[posture.Program] {
	if personalUse {
		return listPrograms(ctx, sys, "registry", everybodysSources)
	}
	return listPrograms(ctx, sys, "registry", windowsSources)
}

func withheldPrograms(context.Context, system.Reader) ([]posture.Program, error) {
	return nil, errNotVisible
}

const uninstall = `\Microsoft\Windows\CurrentVersion\Uninstall`

// uninstallPrograms lists what Windows lists as installed for everybody.
func uninstallPrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	const path = `HKLM\SOFTWARE` + uninstall
	root, err := mustSettings(ctx, sys, path)
	list, listErr := uninstallList(ctx, sys, path, root, "")
	return list, errors.Join(err, listErr)
}

// uninstall32 lists what 32-bit installers wrote, which stands apart. A 32-bit
// Windows has no such place.
func uninstall32(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	const path = `HKLM\SOFTWARE\WOW6432Node` + uninstall
	root, err := settings(ctx, sys, path)
	list, listErr := uninstallList(ctx, sys, path, root, "386")
	return list, errors.Join(err, listErr)
}

// uninstallOfPeople lists what people installed for themselves, of those whose
// settings are loaded. Whose it is goes nowhere.
func uninstallOfPeople(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	people, _, err := loadedHives(ctx, sys)
	if err != nil {
		return nil, err
	}
	var all []posture.Program
	var failed error
	for _, sid := range people {
		path := `HKU\` + sid + `\Software` + uninstall
		root, err := settings(ctx, sys, path)
		list, listErr := uninstallList(ctx, sys, path, root, "")
		all, failed = append(all, list...), errors.Join(failed, err, listErr)
	}
	return all, failed
}

// programsOfHidden says that there are people whose programs cannot be seen.
func programsOfHidden(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	loaded, _, err := loadedHives(ctx, sys)
	if err != nil {
		return nil, err
	}
	people, err := profiles(ctx, sys)
	if err == nil && someHidden(people, loaded) {
		err = errNotVisible
	}
	return nil, err
}

// uninstallList reads the entries below a key.
func uninstallList(ctx context.Context, sys system.Reader, path string, root registryKey, architecture string) ([]posture.Program, error) {
	var list []posture.Program
	var failed error
	for i, name := range root.Keys {
		if i == programLimit {
			return list, errors.Join(failed, errTooMany)
		}
		entry, err := mustSettings(ctx, sys, path+`\`+name)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		p, ok, err := uninstallEntry(entry)
		if p.Architecture = architecture; ok {
			list = append(list, p)
		}
		failed = errors.Join(failed, err)
	}
	return list, failed
}

// uninstallEntry reads one entry; false if it is no program. Windows shows its
// users fewer than we keep: what calls itself a component of the system
// (SystemComponent) is hidden from them and is installed all the same, so that
// hiding is no way around the school's list. Left out is what has no name, and
// what says both whose part it is and that it is an update (ParentKeyName and
// ReleaseType): those are patches of a program that is listed. Where it is
// installed is never kept, for it may lie in a person's folder.
func uninstallEntry(entry registryKey) (posture.Program, bool, error) {
	name, named, err := entry.text("DisplayName")
	parent, _, parentErr := entry.text("ParentKeyName")
	release, _, releaseErr := entry.text("ReleaseType")
	if err = errors.Join(err, parentErr, releaseErr); err != nil {
		return posture.Program{}, false, err
	}
	name = clean(name, nameRunes)
	if !named || name == "" || strings.TrimSpace(parent) != "" && strings.TrimSpace(release) != "" {
		return posture.Program{}, false, nil
	}
	version, _, versionErr := entry.text("DisplayVersion")
	publisher, _, publisherErr := entry.text("Publisher")
	return posture.Program{
		Source: "windows", Name: name, Version: clean(version, nameRunes), Publisher: clean(publisher, nameRunes),
	}, true, errors.Join(versionErr, publisherErr)
}

const (
	appxForAll    = `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications`
	appxForPerson = `\Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages`
)

// storePrograms lists the packaged apps: those that everybody gets, and those
// of people whose settings are loaded. A Windows without the store has neither
// place. Of an app that a person has, the bundle that it came in is not listed
// again.
func storePrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	root, err := settings(ctx, sys, appxForAll)
	everybody, listErr := packages(root.Keys)
	people, peopleErr := packagesOfPeople(ctx, sys)
	own := map[string]bool{}
	for _, p := range people {
		own[p.name+"_"+p.publisher] = true
	}
	everybody = slices.DeleteFunc(everybody, func(p packageName) bool { return p.resource == "~" && own[p.name+"_"+p.publisher] })
	return programsOf(append(everybody, people...)), errors.Join(err, listErr, peopleErr)
}

// storeForEverybody lists the packaged apps that everybody gets.
func storeForEverybody(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	root, err := settings(ctx, sys, appxForAll)
	everybody, listErr := packages(root.Keys)
	return programsOf(everybody), errors.Join(err, listErr)
}

func programsOf(list []packageName) []posture.Program {
	programs := make([]posture.Program, 0, len(list))
	for _, p := range list {
		programs = append(programs, posture.Program{
			Source: "store", Name: p.name, Version: p.version, Architecture: packageArchitectures[p.architecture],
		})
	}
	return programs
}

// packagesOfPeople reads the packages of people, which stand in a hive of
// their own.
func packagesOfPeople(ctx context.Context, sys system.Reader) ([]packageName, error) {
	people, keys, err := loadedHives(ctx, sys)
	if err != nil {
		return nil, err
	}
	var all []packageName
	var failed error
	for _, sid := range people {
		classes := sid + "_Classes"
		if !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, classes) }) {
			failed = errors.Join(failed, errNotVisible)
			continue
		}
		root, err := settings(ctx, sys, `HKU\`+classes+appxForPerson)
		list, listErr := packages(root.Keys)
		all, failed = append(all, list...), errors.Join(failed, err, listErr)
	}
	return all, failed
}

// packages returns the apps among full names of packages.
func packages(names []string) ([]packageName, error) {
	var list []packageName
	var failed error
	for i, full := range names {
		if i == programLimit {
			return list, errors.Join(failed, errTooMany)
		}
		p, ok := parsePackageName(full)
		switch {
		case !ok:
			failed = errUnknown
		case p.app():
			list = append(list, p)
		}
	}
	return list, failed
}
