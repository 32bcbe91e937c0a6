package probe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const (
	hashLimit       = 4 << 30 // bytes of a file that is hashed
	judgeLimit      = 1 << 30 // bytes of a file whose signature is judged, which cannot be stopped
	hashBuffer      = 256 << 10
	executableLimit = 20_000 // executables that are reported
)

// walkLimits bounds one walk of people's folders. A first walk of a full
// laptop may need several; what was found is remembered from one to the next.
var walkLimits = system.WalkLimits{Depth: 24, Files: 300_000, Time: 10 * time.Minute}

// askExecutables fills the two facts that one walk gives.
func askExecutables(ctx context.Context, sys system.Reader, q Question, facts *posture.Facts) {
	ctx, cancel := context.WithTimeout(ctx, walkLimits.Time+time.Minute)
	defer cancel()
	programs := posture.NotFound[posture.Executable]("probe", posture.Unreadable)
	scripts := posture.NotFound[posture.Tally]("probe", posture.Unreadable)
	defer func() {
		_ = recover() // the answers set above stand, and say Unreadable
		programs.ReadAt, scripts.ReadAt = q.Now, q.Now
		facts.Executables, facts.Scripts = programs, scripts
	}()
	limits := walkLimits
	limits.NoMedia = q.Investigation
	programs, scripts = Executables(ctx, sys, q.Known, Withhold(q.PersonalUse, q.Reveal), limits)
}

// Executables lists the programs in people's folders, in temporary folders and
// on media, told by their content, and counts scripts and JARs. Of where they
// lie it says no more than the class of the place.
//
// Known holds what was found before, so that a file that has not changed is
// not read again; it is brought up to date. On a device that is also its
// user's own, the names embedded in programs are withheld; nil withholds none.
func Executables(
	ctx context.Context, sys system.Reader, known *Known, withheld Withheld, limits system.WalkLimits,
) (posture.Answer[posture.Executable], posture.Answer[posture.Tally]) {
	const source = "folders"
	if known == nil {
		known = NewKnown()
	}
	w := walker{ctx: ctx, known: known, withheld: withheld, counts: map[posture.Tally]int{}, found: map[posture.Executable]bool{}}
	limits.Known = w.recognise
	known.begin()
	summary, err := sys.Walk(ctx, limits, w.visit)
	known.end(err == nil && summary.Stopped == posture.None)

	programs, scripts := posture.Found[posture.Executable](w.source(source)), posture.Found[posture.Tally](source)
	if err != nil {
		why := system.Absence(err)
		if why == posture.Unreadable && errors.Is(err, errTooMany) {
			why = posture.TimedOut
		}
		if summary.Files == 0 && len(w.found) == 0 {
			return posture.NotFound[posture.Executable](source, why), posture.NotFound[posture.Tally](source, why)
		}
		summary.Gaps = append(summary.Gaps, posture.Gap{Source: source, Absent: why})
	} else if summary.Stopped != posture.None {
		summary.Gaps = append(summary.Gaps, posture.Gap{Source: source, Absent: posture.TimedOut})
	}
	summary.Gaps = append(summary.Gaps, w.gaps...)
	programs.Gaps, scripts.Gaps = slices.Clone(summary.Gaps), slices.Clone(summary.Gaps)
	programs.Items, scripts.Items = w.programs(), w.tallies()
	return programs, scripts
}

// walker gathers what one walk finds.
type walker struct {
	ctx      context.Context //nolint:containedctx // lives as long as the one walk
	known    *Known
	withheld Withheld
	counts   map[posture.Tally]int // by location and format, Count being 0
	found    map[posture.Executable]bool
	gaps     []posture.Gap
	unjudged []string // the system's own codes of why it could not judge signatures
	buffer   []byte

	looked system.FileIdentity // what was looked up last,
	was    *program            // and what it is; nil if that is not known
}

// recognise reports whether a file is known, and so need not be read.
func (w *walker) recognise(id system.FileIdentity) bool {
	if w.was == nil || w.looked != id {
		w.looked, w.was = id, w.known.look(id)
	}
	return w.was != nil
}

func (w *walker) visit(f system.WalkedFile) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	var p program
	if w.recognise(f.Identity) {
		p = *w.was
	} else {
		var keep bool
		if p, keep = w.identify(f); keep {
			w.known.put(f.Identity, p)
		}
	}
	switch p.format {
	case "":
		return nil
	case posture.Script, posture.JAR:
		w.counts[posture.Tally{Location: f.Location, Format: p.format}]++
		return nil
	}
	item := w.withheld.from(p.executable(f.Location))
	if !w.found[item] && len(w.found) == executableLimit {
		return errTooMany
	}
	w.found[item] = true
	return nil
}

// identify reads a file. It is only remembered if all of it was read: what
// could not be read today is tried again tomorrow.
func (w *walker) identify(f system.WalkedFile) (p program, keep bool) {
	p, err := identify(f.ReaderAt, f.Identity.Size)
	if err != nil {
		w.gap(posture.Gap{Source: "folders: " + string(f.Location), Absent: system.Absence(err)})
		return program{}, false
	}
	if p.format == "" || p.format == posture.Script || p.format == posture.JAR {
		return p, true
	}
	keep = w.judge(f, &p)
	p.sum, err = w.hash(f)
	if err != nil {
		p.unhashed = system.Absence(err)
		if errors.Is(err, system.ErrTooLarge) {
			p.unhashed = posture.TimedOut
		}
		return p, false
	}
	return p, keep
}

// judge has the system say what it makes of a program's signature, where it
// has a judge of such programs. Of a signature that it cannot name the signer
// of, the name that stands in the file is kept. It reports whether that is
// settled.
func (w *walker) judge(f system.WalkedFile, p *program) bool {
	if f.Signature == nil || p.format != posture.PE {
		return true
	}
	if f.Identity.Size > judgeLimit {
		p.signature = posture.Unread[posture.SignatureState](posture.TimedOut)
		return true
	}
	s, err := f.Signature(w.ctx)
	if err != nil {
		p.signature = posture.Unread[posture.SignatureState](system.Absence(err))
		if code := system.CodeWord(err); code != "" && len(w.unjudged) < 4 && !slices.Contains(w.unjudged, code) {
			w.unjudged = append(w.unjudged, code)
		}
		return false
	}
	p.signature = posture.Read(s.State)
	if name := clean(s.Signer, nameRunes); name != "" || s.State == posture.Unsigned {
		p.signer = posture.Read(name)
	} else if p.signer == posture.Read("") {
		p.signer = posture.Unread[string](posture.Unreadable)
	}
	return true
}

// source says where the answer comes from, and where it does not.
func (w *walker) source(source string) string {
	if len(w.unjudged) > 0 {
		slices.Sort(w.unjudged)
		source += ", WinVerifyTrust (" + strings.Join(w.unjudged, ", ") + ")"
	}
	return source
}

// gap keeps one of each kind.
func (w *walker) gap(g posture.Gap) {
	if !slices.Contains(w.gaps, g) {
		w.gaps = append(w.gaps, g)
	}
}

func (w *walker) hash(f system.WalkedFile) (sum [sha256.Size]byte, err error) {
	if f.Identity.Size > hashLimit {
		return sum, system.ErrTooLarge
	}
	if w.buffer == nil {
		w.buffer = make([]byte, hashBuffer)
	}
	h := sha256.New()
	for offset := int64(0); offset < f.Identity.Size; {
		if err := w.ctx.Err(); err != nil {
			return sum, err
		}
		n, err := f.ReadAt(w.buffer[:min(hashBuffer, f.Identity.Size-offset)], offset)
		h.Write(w.buffer[:n])
		offset += int64(n)
		if err != nil && !(errors.Is(err, io.EOF) && offset == f.Identity.Size) {
			return sum, err
		}
		if n == 0 {
			return sum, io.ErrUnexpectedEOF
		}
	}
	if err := unchanged(f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// errChanged says that a file was written to while it was read: the sum of
// what was read is no file's.
var errChanged = errors.New("it changed while it was read")

func unchanged(f system.WalkedFile) error {
	if f.Again == nil {
		return nil
	}
	now, err := f.Again()
	if err == nil && now != f.Identity {
		err = errChanged
	}
	return err
}

func (w *walker) programs() []posture.Executable {
	list := make([]posture.Executable, 0, len(w.found))
	for item := range w.found {
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b posture.Executable) int {
		return cmp.Or(
			cmp.Compare(a.Location, b.Location), cmp.Compare(a.SHA256.Value, b.SHA256.Value),
			cmp.Compare(a.SHA256.Absent, b.SHA256.Absent), cmp.Compare(a.Format, b.Format),
			cmp.Compare(a.Product.Value, b.Product.Value), cmp.Compare(a.Version.Value, b.Version.Value),
			cmp.Compare(a.Signature.Value, b.Signature.Value), cmp.Compare(a.Signer.Value, b.Signer.Value),
		)
	})
	return list
}

func (w *walker) tallies() []posture.Tally {
	list := make([]posture.Tally, 0, len(w.counts))
	for t, n := range w.counts {
		t.Count = n
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b posture.Tally) int {
		return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Format, b.Format))
	})
	return list
}

// program is what a file turned out to be. The zero value is a file that is
// not executable.
type program struct {
	format   posture.Format
	sum      [sha256.Size]byte
	unhashed posture.Absence // why there is no sum; NotAsked (zero) if there is one

	product, version, signer posture.Reading[string]
	signature                posture.Reading[posture.SignatureState]
}

func (p program) executable(at posture.Location) posture.Executable {
	e := posture.Executable{
		Location: at, Format: p.format, SHA256: posture.Read(hex.EncodeToString(p.sum[:])),
		Product: p.product, Version: p.version, Signature: p.signature, Signer: p.signer,
	}
	if p.unhashed != posture.NotAsked {
		e.SHA256 = posture.Unread[string](p.unhashed)
	}
	return e
}
