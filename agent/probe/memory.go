package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
)

// Memory spares asking again what is dear to ask: an answer that was known is
// used again while all that it was made of has not changed. It is carried from
// one assessment to the next as JSON, and is worth nothing but time: what is
// damaged or missing is asked again.
type Memory struct {
	Answers map[string]remembered `json:"answers,omitempty"`
}

type remembered struct {
	Inputs string          `json:"inputs"` // hash of what the answer was made of
	At     time.Time       `json:"at"`     // when it was asked
	Answer json.RawMessage `json:"answer"`
}

// rememberFor is how long an answer is used at most, against what the hash of
// its inputs might have missed.
const rememberFor = 24 * time.Hour

// recall returns the answer from memory if its inputs are as they were, and
// else asks. Only what could be read is remembered, and only if its inputs did
// not change meanwhile; whenever they cannot be told, it asks.
func recall[T any](m *Memory, name string, now time.Time, inputs func() (string, error), ask func() (T, error)) (T, error) {
	if m == nil {
		return ask()
	}
	before, err := inputs()
	if err != nil {
		delete(m.Answers, name)
		return ask()
	}
	if kept, ok := m.Answers[name]; ok && kept.Inputs == before {
		var answer T
		if age := now.Sub(kept.At); age >= 0 && age < rememberFor && json.Unmarshal(kept.Answer, &answer) == nil {
			return answer, nil
		}
	}
	delete(m.Answers, name)
	answer, err := ask()
	if err != nil {
		return answer, err
	}
	data, err := json.Marshal(answer)
	if after, again := inputs(); err == nil && again == nil && after == before {
		if m.Answers == nil {
			m.Answers = map[string]remembered{}
		}
		m.Answers[name] = remembered{Inputs: before, At: now, Answer: data}
	}
	return answer, nil
}

// fingerprint hashes what tells whether files, and the files in folders, are
// the ones that they were. That there is no such file is part of it; what
// cannot be looked at is an error.
func fingerprint(ctx context.Context, sys system.Reader, paths ...string) (string, error) {
	h := sha256.New()
	for _, path := range paths {
		mode, err := noteFile(ctx, sys, h, path)
		if err != nil {
			return "", err
		}
		if !mode.IsDir() {
			continue
		}
		list, err := sys.Dir(ctx, path)
		if err != nil {
			return "", err
		}
		for _, e := range list {
			if _, err := noteFile(ctx, sys, h, path+"/"+e.Name); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func noteFile(ctx context.Context, sys system.Reader, h hash.Hash, path string) (fs.FileMode, error) {
	st, err := sys.Stat(ctx, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	fmt.Fprintf(h, "%q %t %o %d %d %d\n", path, err == nil, st.Type, st.Size, st.Modified.UnixNano(), st.Owner)
	return st.Type, nil
}

// settled names commands that say nothing but what the files of a program make
// them say, each with files that change with those: the program, the lists of
// package managers, and what the linker knows of libraries.
var settled = []system.Command{system.ClamscanVersion, system.ClamdVersion}

var installed = []string{
	dpkgStatus, "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db",
	"/etc/ld.so.cache",
}

// remembering is a Reader that remembers what settled commands said.
type remembering struct {
	system.Reader
	memory *Memory
	now    time.Time
}

// errFailed keeps what a command said that failed from being remembered.
var errFailed = errors.New("the command failed")

// Run implements system.Reader.
func (r remembering) Run(ctx context.Context, c system.Command) (system.Output, error) {
	if !slices.Contains(settled, c) {
		return r.Reader.Run(ctx, c)
	}
	inputs := slices.Clone(installed)
	for _, spec := range system.Commands() {
		if spec.Name == c {
			inputs = append(inputs, spec.Paths...)
		}
	}
	out, err := recall(r.memory, string(c), r.now,
		func() (string, error) { return fingerprint(ctx, r.Reader, inputs...) },
		func() (system.Output, error) {
			out, err := r.Reader.Run(ctx, c)
			if err == nil && out.Exit != 0 {
				err = errFailed
			}
			return out, err
		})
	if errors.Is(err, errFailed) {
		err = nil
	}
	return out, err
}
