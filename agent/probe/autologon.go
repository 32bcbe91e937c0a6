package probe

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// autoLogon reports whether somebody is signed in at start without a password,
// by the display manager that starts or on a console.
func autoLogon(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	console := consoleLogon(ctx, sys)
	if console.Known() && console.Value {
		return console
	}
	screen := displayLogon(ctx, sys)
	if screen.Known() && screen.Value || !screen.Known() {
		return screen
	}
	return console
}

// displayLogon asks the configuration of the display manager that systemd
// starts; without one nobody signs in on a screen.
func displayLogon(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	target, err := sys.Link(ctx, "/etc/systemd/system/display-manager.service")
	if missing(err) {
		// Systems without systemd name the program in this file.
		target, err = firstLine(ctx, sys, "/etc/X11/default-display-manager")
	}
	if missing(err) {
		return posture.Read(false)
	}
	if err != nil {
		return absentFor[bool](err)
	}
	manager := strings.TrimSuffix(path.Base(target), ".service")
	var on bool
	switch manager {
	case "gdm", "gdm3":
		on, err = gdmLogon(ctx, sys)
	case "sddm":
		on, err = sddmLogon(ctx, sys)
	case "lightdm":
		on, err = lightdmLogon(ctx, sys)
	default:
		return unsupported[bool]()
	}
	if err != nil {
		return absentFor[bool](err)
	}
	return posture.Read(on)
}

func gdmLogon(ctx context.Context, sys system.Reader) (bool, error) {
	for _, file := range []string{"/etc/gdm3/custom.conf", "/etc/gdm3/daemon.conf", "/etc/gdm/custom.conf"} {
		conf, err := readINI(ctx, sys, file)
		if err != nil {
			return false, err
		}
		d := conf["daemon"]
		if isTrue(d["AutomaticLoginEnable"]) && d["AutomaticLogin"] != "" || isTrue(d["TimedLoginEnable"]) && d["TimedLogin"] != "" {
			return true, nil
		}
	}
	return false, nil
}

func sddmLogon(ctx context.Context, sys system.Reader) (bool, error) {
	conf, err := mergedINI(ctx, sys, []string{"/usr/lib/sddm/sddm.conf.d", "/etc/sddm.conf.d"}, "/etc/sddm.conf")
	return conf["Autologin"]["User"] != "", err
}

func lightdmLogon(ctx context.Context, sys system.Reader) (bool, error) {
	conf, err := mergedINI(ctx, sys, []string{"/usr/share/lightdm/lightdm.conf.d", "/etc/lightdm/lightdm.conf.d"}, "/etc/lightdm/lightdm.conf")
	for group, keys := range conf {
		if !strings.HasPrefix(group, "Seat:") && group != "SeatDefaults" {
			continue
		}
		if keys["autologin-user"] != "" || isTrue(keys["autologin-guest"]) {
			return true, err
		}
	}
	return false, err
}

// isTrue reads a yes as GLib and lightdm do.
func isTrue(s string) bool { return strings.EqualFold(s, "true") || s == "1" }

// readINI reads a file of groups and keys; none if there is no such file.
func readINI(ctx context.Context, sys system.Reader, file string) (map[string]map[string]string, error) {
	data, err := sys.File(ctx, file, configLimit)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := wholeText(data); err != nil {
		return nil, err
	}
	return parseINI(data), nil
}

// mergedINI reads the .conf files of folders, then one file more; later values
// win.
func mergedINI(ctx context.Context, sys system.Reader, dirs []string, last string) (map[string]map[string]string, error) {
	var files []string
	for _, dir := range dirs {
		list, err := entries(ctx, sys, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if e.Type != fs.ModeDir && strings.HasSuffix(e.Name, ".conf") {
				files = append(files, dir+"/"+e.Name)
			}
		}
	}
	merged := map[string]map[string]string{}
	for _, file := range append(files, last) {
		conf, err := readINI(ctx, sys, file)
		if err != nil {
			return nil, err
		}
		for group, keys := range conf {
			if merged[group] == nil {
				merged[group] = map[string]string{}
			}
			for k, v := range keys {
				merged[group][k] = v
			}
		}
	}
	return merged, nil
}

// consoleLogon looks for a getty that systemd was told to start with a user.
func consoleLogon(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	const dir = "/etc/systemd/system"
	list, err := entries(ctx, sys, dir)
	if err != nil {
		return absentFor[bool](err)
	}
	for _, e := range list {
		if !strings.Contains(e.Name, "getty") || e.Type == fs.ModeSymlink {
			continue
		}
		files := []string{dir + "/" + e.Name}
		if e.Type == fs.ModeDir {
			parts, err := entries(ctx, sys, files[0])
			if err != nil {
				return absentFor[bool](err)
			}
			if !strings.HasSuffix(e.Name, ".service.d") {
				continue
			}
			files = nil
			for _, p := range parts {
				if strings.HasSuffix(p.Name, ".conf") {
					files = append(files, dir+"/"+e.Name+"/"+p.Name)
				}
			}
		}
		for _, f := range files {
			data, err := sys.File(ctx, f, configLimit)
			if err != nil && !missing(err) {
				return absentFor[bool](err)
			}
			if gettyLogon(string(data)) {
				return posture.Read(true)
			}
		}
	}
	return posture.Read(false)
}

// gettyLogon reports whether a unit starts agetty with a user to sign in.
func gettyLogon(unit string) bool {
	for line := range strings.Lines(unit) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if !ok {
			continue
		}
		words := strings.Fields(command)
		if slices.ContainsFunc(words, func(w string) bool { return w == "-a" || strings.HasPrefix(w, "--autologin") }) {
			return true
		}
	}
	return false
}
