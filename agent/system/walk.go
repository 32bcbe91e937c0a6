package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// walkStart is one folder from which the walk goes down.
type walkStart struct {
	path   string // of a home, a temporary folder or a mount
	below  string // folder below path where the walk starts; "" for path itself
	class  posture.Location
	except map[string]bool // paths from the start that are starts of their own
	// expected says that it may have been moved to where this cannot be known,
	// if it is not there: that is a gap.
	expected bool
}

// walkStarts is where to walk, and what of that is known to be out of reach.
type walkStarts struct {
	list []walkStart
	gaps []posture.Gap
}

// errStopped ends a walk at one of its limits.
var errStopped = errors.New("a limit stopped the walk")

// progress is the part of a walk's state that is the same on every system.
type progress struct {
	limits  WalkLimits
	visit   func(WalkedFile) error
	folders int
	summary WalkSummary
}

func newProgress(limits WalkLimits, visit func(WalkedFile) error) progress {
	return progress{limits: limits, visit: visit, summary: WalkSummary{Stopped: posture.None}}
}

// walkAll walks the starts one after the other, until a limit stops it.
func (p *progress) walkAll(ctx context.Context, list []walkStart, walk func(context.Context, walkStart) error) (WalkSummary, error) {
	for _, s := range list {
		if p.limits.leaves(s.class) {
			continue
		}
		if err := walk(ctx, s); err != nil {
			if errors.Is(err, errStopped) {
				break
			}
			return p.summary, fmt.Errorf("walk people's folders: %w", err)
		}
	}
	return p.summary, nil
}

func (p *progress) stop() error {
	p.summary.Stopped = posture.TimedOut
	return errStopped
}

// gap records that something in a class of place could not be read.
func (p *progress) gap(source string, why posture.Absence) {
	g := posture.Gap{Source: source, Absent: why}
	if !slices.Contains(p.summary.Gaps, g) {
		p.summary.Gaps = append(p.summary.Gaps, g)
	}
}

func (p *progress) gaps(list []posture.Gap) {
	for _, g := range list {
		if !p.limits.leaves(posture.Location(g.Source)) {
			p.gap(g.Source, g.Absent)
		}
	}
}

// leaves reports whether places of a class are left alone.
func (l WalkLimits) leaves(class posture.Location) bool { return l.NoMedia && class == posture.OnMedia }

// hardLink records that a file has more than one name. It may be another
// user's, linked here so that it is read with the agent's rights: it is not
// read, and that is said.
func (p *progress) hardLink(class posture.Location) {
	p.gap(string(class)+" hard links", posture.NotVisible)
}

// enter counts a folder that is walked.
func (p *progress) enter() error {
	p.folders++
	if p.folders > p.limits.Files {
		return p.stop()
	}
	return nil
}

// count counts a file that is looked at.
func (p *progress) count() error {
	if p.summary.Files >= p.limits.Files {
		return p.stop()
	}
	p.summary.Files++
	return nil
}

// recognised visits a file if it is known, without anything to read, and
// reports whether it did.
func (p *progress) recognised(id FileIdentity, class posture.Location) (bool, error) {
	if p.limits.Known == nil || !p.limits.Known(id) {
		return false, nil
	}
	if err := p.count(); err != nil {
		return true, err
	}
	return true, p.visit(WalkedFile{Location: class, Identity: id, ReaderAt: notOpened})
}

// notOpened is the content of a file that was recognised.
var notOpened io.ReaderAt = &walkedContent{err: errors.New("it is known, and was not opened")}

// walkedContent opens a file when it is first read: most files are recognised
// and never are.
type walkedContent struct {
	open func() (openContent, error)
	file openContent // nil until then
	err  error
}

// openContent is a file that is open for reading.
type openContent interface {
	io.ReaderAt
	io.Closer
}

// ReadAt implements io.ReaderAt while the file is visited.
func (c *walkedContent) ReadAt(p []byte, off int64) (int, error) {
	if err := c.opened(); err != nil {
		return 0, err
	}
	n, err := c.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read a file on the walk: %w", bare(err))
	}
	return n, err
}

// opened opens the file if it is not open yet.
func (c *walkedContent) opened() error {
	if c.file == nil && c.err == nil {
		if c.file, c.err = c.open(); c.err != nil {
			c.file = nil
		}
	}
	if c.err != nil {
		return fmt.Errorf("open a file on the walk: %w", c.err)
	}
	return nil
}

func (c *walkedContent) close() {
	if c.file != nil {
		c.file.Close()
	}
	c.file, c.err = nil, fs.ErrClosed
}

// bare strips the path from an error of package os: our own sentence names it.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
