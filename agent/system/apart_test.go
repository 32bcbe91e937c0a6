package system

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// apartMode is set in the environment of this test's own processes only.
const apartMode = "SYSTEM_TEST_APART"

// TestProcessApart is no test: it is the program of the processes that answer.
func TestProcessApart(t *testing.T) {
	mode := os.Getenv(apartMode)
	if mode == "" {
		t.Skip("it is the program of other tests' processes")
	}
	os.Exit(apartMain(mode))
}

// The questions of these tests.
var (
	echoed = RowsetSpec{Name: "echoed", Apart: true, Values: []string{"a"}, Deadline: time.Minute, Most: 2}
	hangs  = RowsetSpec{Name: "hangs", Apart: true, Values: []string{"a"}, Deadline: 300 * time.Millisecond, Most: 2}
	many   = RowsetSpec{Name: "many", Apart: true, Values: []string{"a"}, Deadline: time.Minute, Most: 2}
	huge   = RowsetSpec{Name: "huge", Apart: true, Values: []string{"a"}, Deadline: time.Minute, Most: 2}
	denied = RowsetSpec{Name: "denied", Apart: true, Values: []string{"a"}, Deadline: time.Minute, Most: 2}
	gone   = RowsetSpec{Name: "gone", Apart: true, Values: []string{"a"}, Deadline: time.Minute, Most: 2}
)

func findForTests(name Rowset) (RowsetSpec, error) {
	for _, s := range []RowsetSpec{echoed, hangs, many, huge, denied, gone} {
		if s.Name == name {
			return s, nil
		}
	}
	return RowsetSpec{}, fs.ErrPermission
}

func answerForTests() func(RowsetSpec) ([]Values, error) {
	asked := int64(0)
	return func(s RowsetSpec) ([]Values, error) {
		asked++
		row := Values{"a": NumberValue(asked)}
		switch s.Name {
		case hangs.Name:
			select {}
		case many.Name:
			return []Values{row, row, row}, nil
		case huge.Name:
			return []Values{{"a": TextValue(strings.Repeat("a", maxApartAnswer))}}, nil
		case denied.Name:
			return nil, fmt.Errorf("ask: %w", newCodeError(0x80041003))
		case gone.Name:
			os.Exit(9)
		}
		return []Values{row}, nil
	}
}

// apartMain is the program of the processes that answer, well or not.
func apartMain(mode string) int {
	message := func(s string) { _ = writeMessage(os.Stdout, []byte(s)) }
	ask := func() { _, _ = readMessage(os.Stdin, maxApartQuestion) }
	switch mode {
	case "answers":
		if err := (apartServer{find: findForTests, open: answerForTests}).serve(os.Stdin, os.Stdout); err != nil {
			return 3
		}
		return 0
	case "says nothing":
	case "says nothing and closes":
		ask()
		return 0
	case "answers another question":
		ask()
		message(`{"rows":"services","list":[]}`)
	case "answers before it is asked":
		message(`{"rows":"echoed","list":[]}`)
		message(`{"rows":"hangs","list":[]}`)
	case "tells more":
		ask()
		message(`{"rows":"echoed","list":[{"a":1,"Secret":"x"}]}`)
	case "tells no rows":
		ask()
		message(`{"rows":"echoed"}`)
	case "tells both":
		ask()
		message(`{"rows":"echoed","list":[],"missing":true}`)
	case "tells another thing":
		ask()
		message(`{"file":"/etc/shadow","text":""}`)
	case "rubbish":
		ask()
		message("\xff{{{")
	case "half":
		ask()
		_, _ = os.Stdout.Write([]byte{0, 0, 1, 0, '{'})
		return 0
	case "too much":
		ask()
		_, _ = os.Stdout.Write(binary.BigEndian.AppendUint32(nil, maxApartAnswer+1))
	case "babble":
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return 4
			}
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func newApartForTests(t *testing.T, mode string) *apart {
	t.Helper()
	env := []string{apartMode + "=" + mode}
	if root := os.Getenv("SYSTEMROOT"); root != "" {
		env = append(env, "SYSTEMROOT="+root)
	}
	a := newApart("", []string{"-test.run=^TestProcessApart$"}, env)
	t.Cleanup(a.end)
	return a
}

func TestApartAnswers(t *testing.T) {
	a := newApartForTests(t, "answers")
	for asked := range int64(50) {
		rows, err := a.rows(t.Context(), echoed)
		if diff := cmp.Diff([]Values{{"a": NumberValue(asked + 1)}}, rows); err != nil || diff != "" {
			t.Fatalf("question %d: %v (-want +got)\n%s", asked, err, diff)
		}
	}
	for _, c := range []struct {
		spec RowsetSpec
		want error
	}{
		{many, ErrTooLarge},
		{huge, ErrTooLarge},
		{denied, fs.ErrPermission},
		{RowsetSpec{Name: "not in the list", Deadline: time.Minute}, fs.ErrPermission},
	} {
		rows, err := a.rows(t.Context(), c.spec)
		if rows != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v; want %v", c.spec.Name, rows, err, c.want)
		}
		if c.spec.Name == denied.Name && CodeOf(err) != 0x80041003 {
			t.Errorf("%s: got the code %#x", c.spec.Name, CodeOf(err))
		}
	}
	// All of that was one process.
	if rows, err := a.rows(t.Context(), echoed); err != nil || *rows[0]["a"].Number != 54 {
		t.Errorf("after that: got %v, %v", rows, err)
	}
}

// TestAProcessThatHangsIsKilled and only it: the next question is answered by
// another, until two have hung.
func TestAProcessThatHangsIsKilled(t *testing.T) {
	a := newApartForTests(t, "answers")
	for range mostKills {
		if rows, err := a.rows(t.Context(), hangs); rows != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("one that hangs: got %v, %v; want %v", rows, err, context.DeadlineExceeded)
		}
		if a.process != nil {
			t.Fatal("a process that hung is kept")
		}
		if a.kills == mostKills {
			break
		}
		if rows, err := a.rows(t.Context(), echoed); err != nil || *rows[0]["a"].Number != 1 {
			t.Fatalf("the next question: got %v, %v", rows, err)
		}
	}
	if rows, err := a.rows(t.Context(), echoed); rows != nil || !errors.Is(err, context.DeadlineExceeded) || a.process != nil {
		t.Errorf("after %d hung: got %v, %v; want %v", mostKills, rows, err, context.DeadlineExceeded)
	}
	a.end()
	if rows, err := a.rows(t.Context(), echoed); err != nil || len(rows) != 1 {
		t.Errorf("in the next assessment: got %v, %v", rows, err)
	}
}

// TestAKilledProcessIsGone with what it started waiting, and so is one that is
// not needed any more.
func TestAKilledProcessIsGone(t *testing.T) {
	a := newApartForTests(t, "answers")
	if _, err := a.rows(t.Context(), echoed); err != nil {
		t.Fatal(err)
	}
	p := a.process
	if _, err := a.rows(t.Context(), hangs); err == nil {
		t.Fatal("it did not hang")
	}
	<-p.gone
	if _, err := a.rows(t.Context(), echoed); err != nil {
		t.Fatal(err)
	}
	p = a.process
	a.end()
	<-p.gone
}

// TestAProcessEndsWithItsParent: it ends when nobody can ask it any more, also
// while it seeks an answer.
func TestAProcessEndsWithItsParent(t *testing.T) {
	a := newApartForTests(t, "answers")
	p, err := a.start()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeMessage(p.in, []byte(`{"rows":"hangs"}`)); err != nil {
		t.Fatal(err)
	}
	p.in.Close()
	<-p.gone
	p.out.Close()
}

func TestAProcessThatDiesIsNamed(t *testing.T) {
	a := newApartForTests(t, "answers")
	for range 3 {
		if rows, err := a.rows(t.Context(), gone); rows != nil || !errors.Is(err, ErrCrashed) {
			t.Errorf("got %v, %v; want %v", rows, err, ErrCrashed)
		}
	}
	if rows, err := a.rows(t.Context(), echoed); err != nil || len(rows) != 1 {
		t.Errorf("the next question: got %v, %v", rows, err)
	}
	a.path = os.Args[0] + "-that-is-not-there"
	a.end()
	if rows, err := a.rows(t.Context(), echoed); rows != nil || err == nil {
		t.Errorf("a program that is not there: got %v, %v", rows, err)
	}
}

func TestAProcessThatLiesIsNotBelieved(t *testing.T) {
	for mode, want := range map[string]error{
		"says nothing and closes":  ErrCrashed,
		"answers another question": errGarbled,
		"tells more":               errGarbled,
		"tells no rows":            errGarbled,
		"tells both":               errGarbled,
		"tells another thing":      errGarbled,
		"rubbish":                  errGarbled,
		"half":                     ErrCrashed,
		"too much":                 ErrTooLarge,
		"babble":                   errGarbled, // lengths of 0
	} {
		t.Run(mode, func(t *testing.T) {
			a := newApartForTests(t, mode)
			rows, err := a.rows(t.Context(), echoed)
			if rows != nil || !errors.Is(err, want) || Absence(err).String() != "unreadable" {
				t.Errorf("got %v, %v; want %v", rows, err, want)
			}
		})
	}
	a := newApartForTests(t, "says nothing")
	if rows, err := a.rows(t.Context(), hangs); rows != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that says nothing: got %v, %v; want %v", rows, err, context.DeadlineExceeded)
	}
}

// TestAnAnswerBeforeTheQuestionIsNoAnswerToTheNext.
func TestAnAnswerBeforeTheQuestionIsNoAnswerToTheNext(t *testing.T) {
	a := newApartForTests(t, "answers before it is asked")
	if _, err := a.rows(t.Context(), echoed); err != nil {
		t.Fatal(err) // it has guessed right
	}
	if rows, err := a.rows(t.Context(), echoed); rows != nil || !errors.Is(err, errGarbled) {
		t.Errorf("got %v, %v; want %v", rows, err, errGarbled)
	}
}

// TestQuestionsWaitForTheirTurn and a caller that gives up while it waits
// takes nothing from who is being answered.
func TestQuestionsWaitForTheirTurn(t *testing.T) {
	a := newApartForTests(t, "answers")
	if _, err := a.rows(t.Context(), echoed); err != nil {
		t.Fatal(err)
	}
	a.turn <- struct{}{} // as if somebody asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if rows, err := a.rows(ctx, echoed); rows != nil || !errors.Is(err, context.Canceled) || a.kills != 0 {
		t.Errorf("given up: got %v, %v", rows, err)
	}
	answered := make(chan error)
	for range 4 {
		go func() {
			_, err := a.rows(t.Context(), echoed)
			answered <- err
		}()
	}
	<-a.turn
	for range 4 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	if a.kills != 0 {
		t.Error("a process was killed")
	}
}

// TestTheEndInterruptsAQuestion that would otherwise be waited for.
func TestTheEndInterruptsAQuestion(t *testing.T) {
	a := newApartForTests(t, "says nothing")
	answered := make(chan error)
	go func() {
		_, err := a.rows(t.Context(), echoed)
		answered <- err
	}()
	for interruptible := false; !interruptible; runtime.Gosched() {
		a.mu.Lock()
		interruptible = a.current != nil
		a.mu.Unlock()
	}
	a.end()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestServeEndsWithItsQuestions without waiting for what hangs.
func TestServeEndsWithItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		s := apartServer{find: findForTests, open: func() func(RowsetSpec) ([]Values, error) {
			return func(RowsetSpec) ([]Values, error) { <-let; return nil, nil }
		}}
		in, questions := io.Pipe()
		ended := make(chan error)
		go func() { ended <- s.serve(in, io.Discard) }()
		if err := writeMessage(questions, []byte(`{"rows":"echoed"}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		questions.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(let)
	})
}

func TestServeRefusesWhatIsNoQuestion(t *testing.T) {
	s := apartServer{find: findForTests, open: answerForTests}
	for _, message := range []string{"", "{", `{"rows":"echoed"} {}`, `{"what":1}`, strings.Repeat("a", maxApartQuestion+1)} {
		in, questions := io.Pipe()
		go func() {
			_ = writeMessage(questions, []byte(message))
			questions.Close()
		}()
		if err := s.serve(in, io.Discard); err == nil {
			t.Errorf("%.40q: it is taken for a question", message)
		}
		in.Close()
	}
}

// FuzzApartAnswer: whatever a process answers, it is rows that were asked for
// or a failure.
func FuzzApartAnswer(f *testing.F) {
	f.Add([]byte(`{"rows":"echoed","list":[{"a":1},{"a":{"absent":"denied","code":"0x80041003"}}]}`))
	f.Add([]byte(`{"rows":"echoed","missing":true,"code":"0x8004100e"}`))
	f.Add([]byte(`{"rows":"echoed","list":[]}`))
	f.Add([]byte(`{"rows":"services","list":[null]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		rows, err := answeredRows(answer, echoed)
		if (rows == nil) == (err == nil) {
			t.Fatalf("got %v, %v", rows, err)
		}
		if err != nil {
			return
		}
		again, err := answeredRows(answerOf(echoed.Name, rows, nil), echoed)
		if diff := cmp.Diff(rows, again); err != nil || diff != "" {
			t.Errorf("answered again: %v (-want +got)\n%s", err, diff)
		}
	})
}

// FuzzApartQuestions: whatever is asked, each question gets one answer, and
// what is none ends the process.
func FuzzApartQuestions(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x11{\"rows\":\"echoed\"}"))
	f.Add([]byte("\x00\x00\x00\x0f{\"rows\":\"many\"}\x00\x00\x00\x11{\"rows\":\"denied\"}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, asked []byte) {
		s := apartServer{find: findForTests, open: func() func(RowsetSpec) ([]Values, error) {
			return func(RowsetSpec) ([]Values, error) { return []Values{{}}, nil }
		}}
		_ = s.serve(strings.NewReader(string(asked)), io.Discard)
	})
}
