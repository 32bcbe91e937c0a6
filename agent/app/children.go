package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/agent/probe"
	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// The hidden subcommands under which this program starts its children.
const (
	foldersCommand = "child-folders"
	systemCommand  = "child-system"
	aboutCommand   = "child-about"
	waysCommand    = "child-ways"
)

const (
	maxRequest = 64 << 20 // bytes; the sections as last read are most of it
	mebibyte   = 1 << 20
)

// childLimits returns the bounds of the two children. The walk's own limits are
// tighter; these end what does not keep to them.
func childLimits() map[system.Role]system.Limits {
	return map[system.Role]system.Limits{
		system.FolderChild: {Deadline: 15 * time.Minute, Memory: 80 * mebibyte, MaxAnswer: 16 * mebibyte},
		system.SystemChild: {Deadline: 15 * time.Minute, Memory: 80 * mebibyte, MaxAnswer: 64 * mebibyte},
	}
}

// walkRequest is what the child that walks people's folders is asked.
type walkRequest struct {
	Now         time.Time `json:"now"`
	PersonalUse bool      `json:"personalUse"`
	Reveal      []string  `json:"reveal,omitempty"`
	// Investigation says that media are left alone.
	Investigation bool `json:"investigation,omitempty"`
}

// question is what the child asks the probe.
func (r walkRequest) question(known *probe.Known) probe.Question {
	return probe.Question{Now: r.Now, PersonalUse: r.PersonalUse, Reveal: r.Reveal, Investigation: r.Investigation, Known: known}
}

// children asks the children that assess.
type children interface {
	// walk returns what people's folders hold.
	walk(ctx context.Context, r walkRequest, s *state) ([]wire.Body, error)
	// assess returns the outcome of an assessment.
	assess(ctx context.Context, r assess.Request) (assess.Outcome, error)
}

// mostLeft is how many children of a role may hang at once: each keeps the
// memory that it has.
const mostLeft = 3

// processes starts a child for each request. Its methods must not run at once.
type processes struct {
	path   string   // of the program; "" for this one
	before []string // arguments before the hidden subcommand
	replay string   // folder of a recorded machine that the children read; "" for this one
	log    *slog.Logger
	limits map[system.Role]system.Limits // nil: childLimits
	// left are the children that could not be ended and may still be there:
	// each channel is closed when one is gone.
	left map[system.Role][]<-chan struct{}
	told map[system.Role]string // how a role is not confined, as it was last said
}

// run runs a child. Where too many before it wait for a disk or a file system
// that does not answer, it would do so too and is not started.
func (p *processes) run(ctx context.Context, c system.Child, request []byte) (system.Ended, error) {
	if p.limits == nil {
		p.limits, p.left = childLimits(), map[system.Role][]<-chan struct{}{}
	}
	c.Limits = p.limits[c.Role]
	left := slices.DeleteFunc(p.left[c.Role], isClosed)
	p.left[c.Role] = left
	if len(left) >= mostLeft {
		return system.Ended{}, fmt.Errorf("start a child: %d earlier ones wait for a disk or a file system that does not answer: %w",
			len(left), context.DeadlineExceeded)
	}
	ended, err := c.Run(ctx, request)
	if ended.Unconfined != "" && ended.Unconfined != p.told[c.Role] {
		if p.told == nil {
			p.told = map[system.Role]string{}
		}
		p.told[c.Role] = ended.Unconfined
		p.log.Warn("this system does not confine a child as it should", "child", c.Args[len(c.Args)-1], "reason", ended.Unconfined)
	}
	if ended.Gone != nil && !isClosed(ended.Gone) {
		p.left[c.Role] = append(left, ended.Gone)
	}
	return ended, err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *processes) args(command string) []string {
	args := append(append([]string{}, p.before...), command)
	if p.replay != "" {
		args = append(args, p.replay)
	}
	return args
}

// walk implements children. What is known of files from earlier walks goes in
// and out through files, so that it never fills the memory of the part that
// stays. It is worth nothing but time, so that losing it is no error.
func (p *processes) walk(ctx context.Context, r walkRequest, s *state) ([]wire.Body, error) {
	request, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the request to walk: %w", err)
	}
	k, err := openKnown(s)
	if err != nil {
		return nil, err
	}
	child := system.Child{Role: system.FolderChild, Path: p.path, Args: p.args(foldersCommand), Files: []*os.File{k.known, k.fresh}}
	ended, err := p.run(ctx, child, request)
	k.end(err == nil)
	if err != nil {
		return nil, err
	}
	var bodies []wire.Body
	if err := json.Unmarshal(ended.Answer, &bodies); err != nil {
		return nil, fmt.Errorf("read what the walk found: %w", err)
	}
	return bodies, nil
}

// knownFiles are what earlier walks left and a file for what the next will
// leave.
type knownFiles struct {
	known, fresh *os.File
	state        *state // nil: nothing is kept
}

// openKnown opens both. Where the one cannot be read or the other not be
// written, as on a full disk, the walk does without.
func openKnown(s *state) (k knownFiles, err error) {
	if s != nil {
		k.known, _ = os.Open(s.path(knownFile))
		if k.fresh, err = os.OpenFile(s.path(knownFile+".new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err == nil {
			k.state = s
		}
	}
	if k.known == nil {
		if k.known, err = os.Open(os.DevNull); err != nil {
			return k, fmt.Errorf("walk without what is known: %w", err)
		}
	}
	if k.state == nil {
		if k.fresh, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return k, errors.Join(fmt.Errorf("walk without what is known: %w", err), k.known.Close())
		}
	}
	return k, nil
}

// end closes both, and puts the new one in place of the old one if the walk
// succeeded and left anything new. If that fails, the next walk takes longer
// and no more.
func (k knownFiles) end(succeeded bool) {
	k.known.Close()
	info, err := k.fresh.Stat()
	err = errors.Join(err, k.fresh.Close())
	switch {
	case k.state == nil:
	case succeeded && err == nil && info.Size() > 0:
		_ = os.Rename(k.fresh.Name(), k.state.path(knownFile))
	default:
		_ = os.Remove(k.fresh.Name())
	}
}

// assess implements children.
func (p *processes) assess(ctx context.Context, r assess.Request) (assess.Outcome, error) {
	request, err := json.Marshal(r)
	if err != nil {
		return assess.Outcome{}, fmt.Errorf("write the request to assess: %w", err)
	}
	child := system.Child{Role: system.SystemChild, Path: p.path, Args: p.args(systemCommand)}
	ended, err := p.run(ctx, child, request)
	if err != nil {
		return assess.Outcome{}, err
	}
	var outcome assess.Outcome
	if err := json.Unmarshal(ended.Answer, &outcome); err != nil {
		return assess.Outcome{}, fmt.Errorf("read the assessment: %w", err)
	}
	return outcome, nil
}

// inProcess reads a recorded machine without starting anything: nothing that
// it reads can hurt more than the recording's owner.
type inProcess struct{ reader system.Reader }

func (p inProcess) walk(ctx context.Context, r walkRequest, _ *state) ([]wire.Body, error) {
	return assess.Walk(ctx, p.reader, r.question(nil))
}

func (p inProcess) assess(ctx context.Context, r assess.Request) (assess.Outcome, error) {
	return assess.Assess(ctx, p.reader, r)
}

// IsChild reports whether the program was started as one of its own children.
func IsChild(args []string) bool {
	return len(args) > 1 && slices.Contains([]string{foldersCommand, systemCommand, aboutCommand, waysCommand, system.ApartCommand}, args[1])
}

// RunChild answers one request as a child and returns the exit status. It
// takes the hidden subcommand and, for tests and demonstrations, the folder of
// a recorded machine to read instead of this one.
func RunChild(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if err := runChild(args, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, "caretaker-agent:", err)
		return 1
	}
	return 0
}

func runChild(args []string, stdin io.Reader, stdout io.Writer) error {
	if args[1] == system.ApartCommand {
		return system.ServeApart(stdin, stdout)
	}
	request, err := system.ChildRequest(stdin, maxRequest)
	if err != nil {
		return err
	}
	reader := system.New("/")
	if len(args) > 2 {
		if reader, err = system.OpenReplay(args[2]); err != nil {
			return err
		}
	}
	var answer any
	switch args[1] {
	case foldersCommand:
		answer, err = answerWalk(reader, request)
	case waysCommand:
		answer, err = answerWays(request)
	case aboutCommand:
		answer, err = answerAbout(reader, request)
	default:
		answer, err = answerAssess(reader, request)
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	// Nothing may follow, and a thread that waits for a disk for ever keeps
	// this process from ending.
	if c, ok := stdout.(io.Closer); ok {
		if err := c.Close(); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

func answerWalk(reader system.Reader, request []byte) ([]wire.Body, error) {
	var r walkRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, fmt.Errorf("read the request to walk: %w", err)
	}
	before, fresh := system.ChildFile(0, "known"), system.ChildFile(1, "known.new")
	known, err := probe.LoadKnown(before)
	if err != nil {
		known = probe.NewKnown() // the first walk, or a file that a crash left
	}
	bodies, err := assess.Walk(context.Background(), reader, r.question(known))
	if err != nil {
		return nil, err
	}
	if !known.Changed() {
		return bodies, nil // nothing written is what is known already
	}
	var saved bytes.Buffer
	if err := known.Save(&saved); err != nil {
		return nil, err
	}
	// What does not fit on the disk is noticed as damage by the next walk, which
	// then knows nothing.
	_, _ = fresh.Write(saved.Bytes())
	return bodies, nil
}

func answerAssess(reader system.Reader, request []byte) (assess.Outcome, error) {
	var r assess.Request
	if err := json.Unmarshal(request, &r); err != nil {
		return assess.Outcome{}, fmt.Errorf("read the request to assess: %w", err)
	}
	defer system.EndApart()
	return assess.Assess(context.Background(), reader, r)
}
