package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// infoLimit bounds the property list of an application.
const infoLimit = 1 << 20

// macPrograms lists the applications that are installed for everybody, and what
// Homebrew has installed. Those in people's own folders are found by the walk
// through them, with their hash and signer; here a gap says that there are
// some. Those that are a part of macOS, in /System, are told by its version.
func macPrograms(ctx context.Context, sys system.Reader) posture.Answer[posture.Program] {
	var l applicationList
	answer := listPrograms(ctx, sys, "applications, homebrew", []programSource{
		{"applications", l.list},
		{"applications of people", applicationsOfPeople},
		{"homebrew", homebrew},
	})
	if l.undescribed != nil {
		answer.Gaps = append(answer.Gaps, posture.Gap{Source: "descriptions of applications", Absent: programGap(l.undescribed)})
	}
	return answer
}

// applicationList gathers applications. What could not be read of one leaves
// the others as they are.
type applicationList struct {
	folders     int
	found       []posture.Program
	failed      error
	undescribed error // why the description of an application could not be read
}

func (l *applicationList) list(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	l.folder(ctx, sys, "/Applications", 0)
	return l.found, l.failed
}

// folder adds the applications in a folder and, as makers put some into
// folders of their own, in those below it.
func (l *applicationList) folder(ctx context.Context, sys system.Reader, dir string, depth int) {
	const deepest, most = 3, 4096
	if l.folders++; l.folders > most {
		l.failed = errTooMany
		return
	}
	list, err := sys.Dir(ctx, dir)
	switch {
	case missing(err) && depth > 0:
		return // it was removed meanwhile
	case missing(err):
		l.failed = errUnknown // every Mac has it
		return
	case err != nil:
		l.failed = err
		return
	}
	for _, e := range list {
		at := dir + "/" + e.Name
		switch {
		case e.Type != fs.ModeDir || strings.HasPrefix(e.Name, "."):
		case strings.HasSuffix(e.Name, ".app"):
			l.add(ctx, sys, at)
		case depth < deepest:
			l.folder(ctx, sys, at, depth+1)
		}
	}
}

func (l *applicationList) add(ctx context.Context, sys system.Reader, app string) {
	if len(l.found) == programLimit {
		l.failed = errTooMany
		return
	}
	info, err := readInfo(ctx, sys, app)
	if err != nil && !missing(err) {
		l.undescribed = err
		return
	}
	p := parseInfo(info)
	if p.Name == "" {
		p.Name = clean(strings.TrimSuffix(path.Base(app), ".app"), nameRunes)
	}
	p.Signer = appSigner(ctx, sys, app, info)
	l.found = append(l.found, p)
}

// appSigner returns whom the signature of an application names, as the file of
// its program says. Whether the signature holds is not judged. One whose
// program is a script, or lies elsewhere, keeps its signature where it is not
// looked for.
func appSigner(ctx context.Context, sys system.Reader, app string, info dictionary) posture.Reading[string] {
	name := info.text("CFBundleExecutable")
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\\x00") {
		return unsupported[string]()
	}
	file := app + "/Contents/MacOS/" + name
	st, err := sys.Stat(ctx, file)
	if missing(err) || err == nil && !st.Type.IsRegular() {
		return unsupported[string]()
	}
	if err != nil {
		return absentFor[string](err)
	}
	content := fileParts{ctx: ctx, sys: sys, path: file, size: st.Size}
	head, err := readAt(content, 0, int(min(4, st.Size)))
	if err == nil && (len(head) < 4 || !machoMagic[binary.BigEndian.Uint32(head)]) {
		return unsupported[string]()
	}
	var signature machoSignature
	if err == nil {
		signature, err = machoSigner(content, st.Size)
	}
	if err != nil {
		return absentFor[string](err)
	}
	return signature.signer
}

// fileParts reads a file in parts. One that comes back shorter than it must be is
// an error, so that a cut reading is never taken for the end.
type fileParts struct {
	ctx  context.Context //nolint:containedctx // lives as long as the one file is looked at
	sys  system.Reader
	path string
	size int64
}

// ReadAt implements io.ReaderAt.
func (p fileParts) ReadAt(into []byte, offset int64) (int, error) {
	n := int(max(min(int64(len(into)), p.size-offset), 0))
	if n > 0 {
		data, err := p.sys.Part(p.ctx, p.path, offset, n)
		if err != nil {
			return 0, err
		}
		if copy(into, data) < n {
			return 0, errShort
		}
	}
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// readInfo reads the property list of an application; one for telephones lies
// in a wrapper.
func readInfo(ctx context.Context, sys system.Reader, app string) (dictionary, error) {
	data, err := sys.File(ctx, app+"/Contents/Info.plist", infoLimit)
	if missing(err) {
		data, err = sys.File(ctx, app+"/WrappedBundle/Info.plist", infoLimit)
	}
	if err != nil {
		return nil, err
	}
	return parsePlist(data)
}

// parseInfo reads what an application calls itself.
func parseInfo(info dictionary) posture.Program {
	return posture.Program{
		Source: "app", Name: clean(firstText(info, "CFBundleDisplayName", "CFBundleName"), nameRunes),
		Version: clean(firstText(info, "CFBundleShortVersionString", "CFBundleVersion"), nameRunes),
	}
}

// applicationsOfPeople looks whether somebody has applications in a folder of
// their own.
func applicationsOfPeople(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	people, err := sys.Dir(ctx, "/Users")
	if missing(err) {
		err = errUnknown // every Mac has it
	}
	if err != nil {
		return nil, err
	}
	var failed error
	for _, p := range people {
		if p.Type != fs.ModeDir || p.Name == "Shared" || strings.HasPrefix(p.Name, ".") {
			continue
		}
		list, err := entries(ctx, sys, "/Users/"+p.Name+"/Applications")
		if err != nil {
			failed = err
			continue
		}
		for _, e := range list {
			if strings.HasSuffix(e.Name, ".app") || e.Type == fs.ModeDir && !strings.HasPrefix(e.Name, ".") {
				return nil, errNotVisible
			}
		}
	}
	return nil, failed
}

// homebrew lists the formulae and casks, by the folders that they lie in, one
// for each version: Homebrew itself is not run.
func homebrew(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	var list []posture.Program
	var failed error
	for _, dir := range []string{"/opt/homebrew/Cellar", "/opt/homebrew/Caskroom", "/usr/local/Cellar", "/usr/local/Caskroom"} {
		names, err := entries(ctx, sys, dir)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		for _, n := range names {
			if n.Type != fs.ModeDir || strings.HasPrefix(n.Name, ".") {
				continue
			}
			versions, err := entries(ctx, sys, dir+"/"+n.Name)
			if err != nil {
				failed = errors.Join(failed, err)
			}
			for _, v := range versions {
				if v.Type != fs.ModeDir || strings.HasPrefix(v.Name, ".") {
					continue
				}
				if len(list) == programLimit {
					return list, errTooMany
				}
				list = append(list, posture.Program{Source: "homebrew", Name: clean(n.Name, nameRunes), Version: clean(v.Name, nameRunes)})
			}
		}
	}
	return list, failed
}
