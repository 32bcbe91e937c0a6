package probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io/fs"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const flatpakDir = "/var/lib/flatpak/app"

// flatpakPrograms lists the applications installed for everybody. Their
// versions are told by the metadata that their makers ship, where they do.
func flatpakPrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	apps, err := entries(ctx, sys, flatpakDir)
	if err != nil {
		return nil, err
	}
	var list []posture.Program
	var failed error
	for _, app := range apps {
		if app.Type != fs.ModeDir {
			continue
		}
		if len(list) == programLimit {
			return list, errTooMany
		}
		active := flatpakDir + "/" + app.Name + "/current/active"
		data, err := sys.File(ctx, active+"/metadata", configLimit)
		if missing(err) {
			continue // removed, or under way
		}
		if err != nil {
			failed = err
			continue
		}
		p, ok := parseFlatpak(data)
		if !ok {
			failed = errUnknown
			continue
		}
		p.Version = flatpakVersion(ctx, sys, active, p.Name)
		list = append(list, p)
	}
	return list, failed
}

// parseFlatpak reads the metadata of an application: its name, and its
// architecture from the runtime it needs, "org.gnome.Platform/x86_64/46".
func parseFlatpak(data []byte) (posture.Program, bool) {
	app := parseINI(data)["Application"]
	name := clean(app["name"], nameRunes)
	if name == "" {
		return posture.Program{}, false
	}
	p := posture.Program{Source: "flatpak", Name: name}
	if parts := strings.Split(app["runtime"], "/"); len(parts) == 3 {
		p.Architecture = clean(parts[1], 40)
	}
	return p, true
}

func flatpakVersion(ctx context.Context, sys system.Reader, active, name string) string {
	if strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
		return ""
	}
	for _, dir := range []string{"/export/share/metainfo/", "/files/share/metainfo/", "/files/share/appdata/"} {
		for _, suffix := range []string{".metainfo.xml", ".appdata.xml"} {
			data, err := sys.File(ctx, active+dir+name+suffix, configLimit)
			if err == nil {
				return parseMetainfo(data)
			}
		}
	}
	return ""
}

// parseMetainfo returns the version of the first release, which is the newest.
func parseMetainfo(data []byte) string {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = nil
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "release" {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "version" {
				return clean(a.Value, nameRunes)
			}
		}
	}
}

// flatpakOfPeople reports, without naming any, whether people have
// applications of their own: those are in their folders and are not listed.
func flatpakOfPeople(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	people, err := readPeople(ctx, sys)
	if err != nil {
		return nil, err
	}
	// A table that cannot be read says of no folder that it lies elsewhere.
	table, err := sys.File(ctx, "/proc/self/mountinfo", tableLimit)
	mounts, unread := parseMountinfo(string(table))
	if err != nil || unread != nil {
		mounts = nil
	}
	for _, home := range people.homes {
		if m, ok := holding(mounts, home+"/.local/share/flatpak/app"); ok && mayHang(m.filesystem) {
			return nil, errNotVisible
		}
		list, err := entries(ctx, sys, home+"/.local/share/flatpak/app")
		if errors.Is(err, fs.ErrPermission) || len(list) > 0 {
			return nil, errNotVisible
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
