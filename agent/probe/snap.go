package probe

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// snapPrograms asks snapd, or lists its files where it does not answer.
func snapPrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	answer, err := sys.Ask(ctx, system.SnapdSnaps)
	if err == nil {
		return parseSnapd(answer)
	}
	const dir = "/var/lib/snapd/snaps"
	files, dirErr := entries(ctx, sys, dir)
	if dirErr != nil {
		return nil, dirErr
	}
	var list []posture.Program
	var failed error
	if !missing(err) {
		failed = err // it is there and does not answer: it may know more than its files tell
	}
	seen := map[string]bool{}
	for _, f := range files {
		name, ok := snapName(f.Name)
		if !ok || seen[name] {
			continue
		}
		if len(list) == programLimit {
			return list, errTooMany
		}
		seen[name] = true
		data, err := sys.File(ctx, "/snap/"+name+"/current/meta/snap.yaml", configLimit)
		if err != nil {
			failed = err
		}
		list = append(list, posture.Program{Source: "snap", Name: name, Version: snapVersion(string(data))})
	}
	return list, failed
}

// snapName takes the name out of "firefox_4173.snap".
func snapName(file string) (string, bool) {
	base, ok := strings.CutSuffix(file, ".snap")
	i := strings.LastIndexByte(base, '_')
	if !ok || i <= 0 {
		return "", false
	}
	name := base[:i]
	for _, r := range name {
		if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return "", false
		}
	}
	return name, true
}

// snapVersion returns the top-level version of snap.yaml.
func snapVersion(yaml string) string {
	for line := range strings.Lines(yaml) {
		if value, ok := strings.CutPrefix(line, "version:"); ok {
			value, _, _ = strings.Cut(value, " #")
			return clean(strings.Trim(strings.TrimSpace(value), `'"`), nameRunes)
		}
	}
	return ""
}

// parseSnapd reads snapd's answer to GET /v2/snaps.
func parseSnapd(answer []byte) ([]posture.Program, error) {
	var doc struct {
		Type   string `json:"type"`
		Result []struct {
			Name      string `json:"name"`
			Version   string `json:"version"`
			Status    string `json:"status"`
			Publisher struct {
				DisplayName string `json:"display-name"`
			} `json:"publisher"`
		} `json:"result"`
	}
	if err := json.Unmarshal(answer, &doc); err != nil || doc.Type != "sync" {
		return nil, errUnknown
	}
	var list []posture.Program
	for _, s := range doc.Result {
		name := clean(s.Name, nameRunes)
		if name == "" {
			return list, errUnknown
		}
		if s.Status != "active" && s.Status != "installed" {
			continue // known to the store, not on this machine
		}
		if len(list) == programLimit {
			return list, errTooMany
		}
		list = append(list, posture.Program{
			Source: "snap", Name: name, Version: clean(s.Version, nameRunes),
			Publisher: clean(s.Publisher.DisplayName, nameRunes),
		})
	}
	return list, nil
}
