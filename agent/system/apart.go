package system

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
)

// ApartCommand is the hidden subcommand under which this program answers, as a
// process of its own, the questions that are asked apart.
const ApartCommand = "child-apart"

const (
	// maxApartQuestion and maxApartAnswer bound one message, in bytes.
	maxApartQuestion = 1 << 10
	maxApartAnswer   = 4 << 20
	// mostKills is how many processes may hang before nothing more is asked:
	// what two did not survive, a third would not.
	mostKills = 2
)

// errGarbled means that an answer is not one to the question that was asked.
var errGarbled = errors.New("it is no answer to the question")

// apart asks the questions that are asked apart, one at a time, of a process
// that it starts with the first of them. One that does not answer in time is
// killed, and the next question starts another.
//
// A message is four bytes of length, the highest first, and so much JSON: a
// reading as in a recording, of which the question has only its name.
type apart struct {
	path string   // of the program; "" for this one
	args []string // the hidden subcommand
	env  []string // its whole environment

	turn chan struct{} // holds one value while somebody asks

	mu      sync.Mutex // guards current
	current func()     // ends the question that is being asked; nil if none is

	// What follows belongs to whose turn it is.

	process *apartProcess // nil: none runs
	kills   int
}

func newApart(path string, args, env []string) *apart {
	return &apart{path: path, args: args, env: env, turn: make(chan struct{}, 1)}
}

// rows asks one question. It fails with context.DeadlineExceeded if the answer
// takes longer than the question may, ErrTooLarge if it is larger than allowed
// and ErrCrashed if the process ended instead.
func (a *apart) rows(ctx context.Context, spec RowsetSpec) ([]Values, error) {
	rows, err := a.ask(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", spec.Name, err)
	}
	return rows, nil
}

func (a *apart) ask(ctx context.Context, spec RowsetSpec) ([]Values, error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// Its time begins with its turn.
	ctx, cancel := context.WithTimeout(ctx, spec.Deadline)
	defer a.interruptible(cancel)()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case a.kills >= mostKills:
		return nil, fmt.Errorf("%d processes before it hung: %w", a.kills, context.DeadlineExceeded)
	}
	if a.process == nil {
		p, err := a.start()
		if err != nil {
			return nil, fmt.Errorf("start a process for it: %w", err)
		}
		a.process = p
	}
	answer, err := a.process.ask(ctx, spec.Name)
	var rows []Values
	var broken bool
	if err == nil {
		rows, err = answeredRows(answer, spec)
		broken = errors.Is(err, errGarbled)
	} else {
		broken = true
		if ctx.Err() != nil {
			a.kills++
			err = ctx.Err()
		}
	}
	if broken {
		// What it would say next is the answer to nobody's question.
		a.process.kill()
		a.process = nil
	}
	return rows, err
}

// interruptible makes cancel what end calls until the returned function is
// called, which calls it too.
func (a *apart) interruptible(cancel func()) func() {
	a.mu.Lock()
	a.current = cancel
	a.mu.Unlock()
	return func() {
		cancel()
		a.mu.Lock()
		a.current = nil
		a.mu.Unlock()
	}
}

// end ends the process, if one runs, and the question that is being asked. A
// later question begins as if none had been asked before.
func (a *apart) end() {
	a.mu.Lock()
	if a.current != nil {
		a.current()
	}
	a.mu.Unlock()
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	if a.process != nil {
		a.process.end()
	}
	a.process, a.kills = nil, 0
}

// apartProcess is a process that answers.
type apartProcess struct {
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	gone   chan struct{} // closed once it is gone
	waited error         // how it ended, once gone is closed
}

func (a *apart) start() (*apartProcess, error) {
	path := a.path
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), in.Close())
	}
	p := &apartProcess{cmd: exec.CommandContext(context.Background(), path, a.args...), in: in, out: out, gone: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdin, p.cmd.Stdout = a.env, childIn, childOut
	startApart(p.cmd)
	err = p.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go func() {
		p.waited = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// ask sends a question and returns the answer. If the context ends first, the
// process has to be killed: that also ends what is left reading here.
func (p *apartProcess) ask(ctx context.Context, name Rowset) ([]byte, error) {
	answer, err := within(ctx, func() ([]byte, error) {
		question, err := json.Marshal(reading{Rows: string(name)})
		if err == nil {
			err = writeMessage(p.in, question)
		}
		if err != nil {
			return nil, err
		}
		return readMessage(p.out, maxApartAnswer)
	})
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrTooLarge) {
		return answer, err
	}
	if closedSoon(p.gone) {
		return nil, fmt.Errorf("%w: %w", ErrCrashed, exitOf(p.waited))
	}
	return nil, fmt.Errorf("%w: %w", errGarbled, err)
}

func exitOf(waited error) error {
	if waited == nil {
		return errors.New("it said that all was well")
	}
	return waited
}

// kill ends the process. One that cannot be ended, because it waits in the
// kernel, is left behind.
func (p *apartProcess) kill() {
	_ = p.cmd.Process.Kill()
	p.in.Close()
	if closedSoon(p.gone) {
		p.out.Close()
	}
}

// end lets the process end by itself, which it does when its questions end.
func (p *apartProcess) end() {
	p.in.Close()
	if !closedSoon(p.gone) {
		p.kill()
		return
	}
	p.out.Close()
}

// answeredRows reads an answer and refuses one that is not to the question or
// holds what was not asked for.
func answeredRows(answer []byte, spec RowsetSpec) ([]Values, error) {
	r, q, err := decodeReading(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbled, err)
	}
	if q != (question{"rows", string(spec.Name)}) {
		return nil, fmt.Errorf("%w: it is about %.40q", errGarbled, q.name)
	}
	if err := r.failure(); err != nil {
		return nil, err
	}
	if len(*r.List) > spec.Most {
		return nil, fmt.Errorf("%d rows: %w", len(*r.List), ErrTooLarge)
	}
	for _, row := range *r.List {
		for name := range row {
			if !slices.Contains(spec.Values, name) {
				return nil, fmt.Errorf("%w: it tells %.40q", errGarbled, name)
			}
		}
	}
	return *r.List, nil
}

// answerOf writes an answer.
func answerOf(name Rowset, rows []Values, err error) []byte {
	if err == nil {
		rows = append([]Values{}, rows...)
		answer, bad := json.Marshal(reading{Rows: string(name), List: &rows})
		if bad == nil && len(answer) <= maxApartAnswer {
			return answer
		}
		err = errors.Join(bad, ErrTooLarge)
	}
	r := reading{Rows: string(name), Code: CodeWord(err)}
	r.Missing, r.Absent = failureWord(err)
	answer, err := json.Marshal(r)
	if err != nil {
		return nil // texts only: cannot be
	}
	return answer
}

func writeMessage(w io.Writer, message []byte) error {
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(message)), uint32(len(message)))
	_, err := w.Write(append(framed, message...))
	return err
}

func readMessage(r io.Reader, limit int) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if int64(n) > int64(limit) {
		return nil, fmt.Errorf("a message of %d bytes: %w", n, ErrTooLarge)
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	return message, nil
}

// apartServer is the other end: what answers the questions.
type apartServer struct {
	// find looks a question up in the allow-list.
	find func(Rowset) (RowsetSpec, error)
	// open makes what answers. It is called, and what it returns, on one
	// thread that nothing else runs on.
	open func() func(RowsetSpec) ([]Values, error)
}

// serve answers questions until they end. It then does not wait for an answer
// that is being sought: its thread may hang for good, and ends with the
// process.
func (s apartServer) serve(stdin io.Reader, stdout io.Writer) error {
	questions, failed := make(chan Rowset), make(chan error, 1)
	defer close(questions)
	go func() { failed <- s.answer(questions, stdout) }()
	for in := bufio.NewReader(stdin); ; {
		message, err := readMessage(in, maxApartQuestion)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		r := new(reading)
		if err := decodeStrict(message, r); err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		select {
		case questions <- Rowset(r.Rows):
		case err := <-failed:
			return err
		}
	}
}

func (s apartServer) answer(questions <-chan Rowset, stdout io.Writer) error {
	// Given back to nobody: the state of COM belongs to this thread.
	runtime.LockOSThread()
	var ask func(RowsetSpec) ([]Values, error)
	for name := range questions {
		spec, err := s.find(name)
		var rows []Values
		if err == nil {
			if ask == nil {
				ask = s.open()
			}
			rows, err = ask(spec)
		}
		if err == nil && len(rows) > spec.Most {
			rows, err = nil, ErrTooLarge
		}
		if err := writeMessage(stdout, answerOf(name, rows, err)); err != nil {
			return fmt.Errorf("answer a question: %w", err)
		}
	}
	return nil
}
