package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	dpkgStatus   = "/var/lib/dpkg/status"
	dpkgLimit    = 128 << 20 // bytes; the largest seen are near 10 MB
	dpkgChunk    = 1 << 20
	programLimit = 20_000 // programs of one source
)

// dpkgInstalled are the states of a package whose programs lie on the disk.
// "config-files" and "half-installed" are not among them.
var dpkgInstalled = []string{"installed", "triggers-pending", "triggers-awaited", "half-configured", "unpacked"}

// errTooMany means that a source has more than is reported.
var errTooMany = errors.New("there are more than are reported")

// dpkgPrograms reads the packages that dpkg has installed; none if the system
// has no dpkg. It reads piece by piece, and once more from the start if dpkg
// replaced its file meanwhile. Beside errTooMany the programs are true.
func dpkgPrograms(ctx context.Context, sys system.Reader) ([]posture.Program, error) {
	for range 3 {
		before, err := sys.Stat(ctx, dpkgStatus)
		if missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		list, err := parseDpkg(&partReader{ctx: ctx, sys: sys, path: dpkgStatus, limit: dpkgLimit})
		if err != nil && !errors.Is(err, errTooMany) {
			return nil, err
		}
		after, statErr := sys.Stat(ctx, dpkgStatus)
		if statErr != nil {
			return nil, statErr
		}
		if before.Size == after.Size && before.Modified.Equal(after.Modified) {
			return list, err
		}
	}
	return nil, errUnknown
}

// partReader reads a file piece by piece through a Reader.
type partReader struct {
	ctx    context.Context //nolint:containedctx // of the one scan that this reader is made for
	sys    system.Reader
	path   string
	limit  int64
	offset int64
	rest   []byte
	ended  bool
}

// Read implements io.Reader.
func (p *partReader) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.ended {
			return 0, io.EOF
		}
		if p.offset >= p.limit {
			return 0, system.ErrTooLarge
		}
		part, err := p.sys.Part(p.ctx, p.path, p.offset, dpkgChunk)
		if err != nil {
			return 0, err
		}
		p.offset += int64(len(part))
		p.rest, p.ended = part, len(part) < dpkgChunk
		if len(part) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// parseDpkg reads paragraphs of dpkg's status file and keeps the packages that
// are installed. A file that ends in the middle of a paragraph was cut short.
func parseDpkg(r io.Reader) ([]posture.Program, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	var list []posture.Program
	var p posture.Program
	installed, inside := false, false
	for {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return nil, err
		}
		text := bytes.TrimRight(line[:min(len(line), lineLimit)], "\r\n")
		switch {
		case errors.Is(err, io.EOF) && (len(line) > 0 || inside):
			return nil, io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return list, nil
		case len(text) == 0 && !long:
			if installed && p.Name != "" {
				if len(list) == programLimit {
					return list, errTooMany
				}
				list = append(list, p)
			}
			p, installed, inside = posture.Program{Source: "dpkg"}, false, false
			continue
		}
		inside = true
		dpkgField(text, &p, &installed)
		for long {
			_, err = lines.ReadSlice('\n')
			long = errors.Is(err, bufio.ErrBufferFull)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
}

func dpkgField(line []byte, p *posture.Program, installed *bool) {
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
		return // goes on with the field above
	}
	key, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(key) == 0 {
		return
	}
	p.Source = "dpkg"
	is := func(name string) bool { return len(key) == len(name) && strings.EqualFold(string(key), name) }
	switch {
	case is("Package"):
		p.Name = clean(string(value), nameRunes)
	case is("Status"):
		// Want, error flag, state: held packages are installed too.
		words := strings.Fields(string(value))
		*installed = len(words) == 3 && slices.Contains(dpkgInstalled, words[2])
	case is("Version"):
		p.Version = clean(string(value), nameRunes)
	case is("Architecture"):
		p.Architecture = clean(string(value), 40)
	case is("Maintainer"):
		// The address behind the name is nobody's business here.
		name, _, _ := strings.Cut(string(value), "<")
		p.Publisher = clean(name, nameRunes)
	}
}
