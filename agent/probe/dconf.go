package probe

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
)

// dconf is what the settings of GNOME and its kin are made of, apart from the
// person's own: databases of the system, in the order in which they count, and
// the defaults that the distribution ships.
type dconf struct {
	layers   []*gvdbTable
	defaults map[string]string // by dconf path; text as in an override file
}

// readDconf reads the system's part.
func readDconf(ctx context.Context, sys system.Reader) (dconf, error) {
	d := dconf{defaults: map[string]string{}}
	if err := d.readOverrides(ctx, sys); err != nil {
		return d, err
	}
	data, err := sys.File(ctx, "/etc/dconf/profile/user", lineLimit)
	if missing(err) {
		return d, nil // the person's own settings alone
	}
	if err != nil {
		return d, err
	}
	profile, err := wholeText(data)
	if err != nil {
		return d, err
	}
	for line := range strings.Lines(profile) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		name, isSystem := strings.CutPrefix(line, "system-db:")
		switch {
		case line == "", line == "user-db:user":
			continue
		case !isSystem, strings.Contains(name, "/"), name == "":
			return d, errUnknown // a source that is not read
		}
		file, err := sys.File(ctx, "/etc/dconf/db/"+name, gvdbLimit)
		if missing(err) {
			continue
		}
		if err != nil {
			return d, err
		}
		table, err := parseGVDB(file)
		if err != nil {
			return d, err
		}
		d.layers = append(d.layers, table)
	}
	return d, nil
}

// readOverrides reads the defaults that distributions put over the makers':
// files of schemas and keys, the last name winning. A group may be for one
// desktop only, as "[org.gnome.desktop.session:ubuntu]", and is then taken for
// the one that this distribution runs.
func (d *dconf) readOverrides(ctx context.Context, sys system.Reader) error {
	const dir = "/usr/share/glib-2.0/schemas"
	list, err := entries(ctx, sys, dir)
	if err != nil {
		return err
	}
	var files []string
	for _, e := range list {
		if e.Type != fs.ModeDir && strings.HasSuffix(e.Name, ".gschema.override") {
			files = append(files, path.Join(dir, e.Name))
		}
	}
	slices.Sort(files)
	for _, f := range files {
		conf, err := readINI(ctx, sys, f)
		if err != nil {
			return err
		}
		for group, keys := range conf {
			schema, _, _ := strings.Cut(group, ":")
			for k, v := range keys {
				d.defaults["/"+strings.ReplaceAll(schema, ".", "/")+"/"+k] = strings.TrimSpace(v)
			}
		}
	}
	return nil
}

// find returns the value of a key: that of the system if it is locked there,
// else the person's own, else the system's; nil if none sets it.
func (d dconf) find(own *gvdbTable, key string) []byte {
	var value []byte
	locked := false
	for _, l := range d.layers {
		if v, ok := l.values[key]; ok && value == nil {
			value = v
		}
		if locks := l.tables[".locks"]; locks != nil {
			if _, ok := locks.values[key]; ok {
				locked = true
			}
		}
	}
	if !locked && own != nil {
		if v, ok := own.values[key]; ok {
			return v
		}
	}
	return value
}

func (d dconf) boolean(own *gvdbTable, key string, otherwise bool) (bool, error) {
	if v := d.find(own, key); v != nil {
		b, ok := variantBool(v)
		if !ok {
			return false, errUnknown
		}
		return b, nil
	}
	switch text, set := d.defaults[key]; {
	case !set:
		return otherwise, nil
	case text == "true" || text == "false":
		return text == "true", nil
	}
	return false, errUnknown
}

func (d dconf) number(own *gvdbTable, key string, otherwise uint32) (uint32, error) {
	if v := d.find(own, key); v != nil {
		n, ok := variantUint32(v)
		if !ok {
			return 0, errUnknown
		}
		return n, nil
	}
	text, set := d.defaults[key]
	if !set {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(text, "uint32")), 10, 32)
	if err != nil {
		return 0, errUnknown
	}
	return uint32(n), nil
}
