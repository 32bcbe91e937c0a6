package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// Questions that are asked through the same machinery and that every Windows
// answers.
var (
	operatingSystem = RowsetSpec{
		Name: "operating-system", On: posture.Windows, Apart: true, Deadline: time.Minute, Most: 1,
		Values: []string{"BuildNumber", "ProductType", "OSArchitecture", "LastBootUpTime", "FreePhysicalMemory", "NotThere"},
	}
	hangsInCOM = RowsetSpec{Name: "hangs-in-com", On: posture.Windows, Apart: true, Deadline: time.Second, Most: 1}
)

func comForTests() apartServer {
	return apartServer{
		find: func(r Rowset) (RowsetSpec, error) {
			for _, s := range []RowsetSpec{operatingSystem, hangsInCOM} {
				if s.Name == r {
					return s, nil
				}
			}
			return r.spec(posture.Windows)
		},
		open: func() func(RowsetSpec) ([]Values, error) {
			c := openCOM()
			return func(s RowsetSpec) ([]Values, error) {
				switch s.Name {
				case operatingSystem.Name:
					return c.instances(`root\cimv2`, "Win32_OperatingSystem", s, nil)
				case hangsInCOM.Name:
					select {}
				}
				return c.rows(s)
			}
		},
	}
}

func TestProcessApartOverCOM(t *testing.T) {
	if os.Getenv(apartMode) != "com" {
		t.Skip("it is the program of other tests' processes")
	}
	if err := comForTests().serve(os.Stdin, os.Stdout); err != nil {
		os.Exit(3)
	}
	os.Exit(0)
}

func newCOMForTests(t *testing.T) *apart {
	t.Helper()
	a := newApart("", []string{"-test.run=^TestProcessApartOverCOM$"}, append(apartEnvironment(os.Getenv), apartMode+"=com"))
	t.Cleanup(a.end)
	return a
}

func TestARealClassAnswers(t *testing.T) {
	a := newCOMForTests(t)
	rows, err := a.rows(t.Context(), operatingSystem)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rows)
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want 1", len(rows))
	}
	row := rows[0]
	if build := row.Text("BuildNumber"); build.Absent != posture.None || build.Value == "" {
		t.Errorf("BuildNumber: got %+v", build)
	}
	if kind := row.Number("ProductType"); kind.Absent != posture.None || kind.Value < 1 || kind.Value > 3 {
		t.Errorf("ProductType: got %+v", kind)
	}
	if _, told := row["NotThere"]; told {
		t.Error("a property that there is not has a value")
	}
}

// TestWhatThisMachineLacksIsAnErrorWithItsCode asks everything that is asked
// apart. What the machine has is rows; what it lacks, as Wine and a server do,
// is never an empty list.
func TestWhatThisMachineLacksIsAnErrorWithItsCode(t *testing.T) {
	a := newCOMForTests(t)
	for _, spec := range Rowsets() {
		if !spec.Apart {
			continue
		}
		rows, err := a.rows(t.Context(), spec)
		t.Logf("%s: %v, %v", spec.Name, rows, err)
		if err != nil && CodeOf(err) == 0 {
			t.Errorf("%s: %v has no code", spec.Name, err)
		}
		if err == nil && len(rows) == 0 && spec.Name != DefenderThreats && spec.Name != WindowsUpdateList {
			t.Errorf("%s: an empty list", spec.Name)
		}
	}
}

func TestAQuestionThatHangsInCOM(t *testing.T) {
	a := newCOMForTests(t)
	if _, err := a.rows(t.Context(), operatingSystem); err != nil {
		t.Fatal(err)
	}
	if rows, err := a.rows(t.Context(), hangsInCOM); rows != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", rows, err)
	}
	if _, err := a.rows(t.Context(), operatingSystem); err != nil {
		t.Errorf("the next question: %v", err)
	}
}

func TestARealClassThatIsNotThere(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := openCOM()
	rows, err := c.instances(`root\cimv2`, "Win32_CaretakerHasNoSuchClass", operatingSystem, nil)
	if rows != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, %v", rows, err)
	}
	t.Log(err)
}

// TestAMethodOfARealInstance asks who this process belongs to. Wine has no
// SpawnInstance_, so that methods with arguments are another test's.
func TestAMethodOfARealInstance(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := openCOM()
	defer c.disconnect(`root\cimv2`)
	services, err := c.connection(`root\cimv2`)
	if err != nil {
		t.Fatal(err)
	}
	self, err := doObject(services, "Get", textArgument(fmt.Sprintf(`Win32_Process.Handle="%d"`, os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	defer self.Release()
	row := Values{}
	callMethod(nil, self, method{"GetOwner", nil, []string{"User", "Nothing"}}, row)
	if user := row.Text("User"); user.Absent != posture.None || user.Value == "" {
		t.Errorf("User: got %+v", row["User"])
	}
	if !row["Nothing"].IsNull() {
		t.Errorf("an out that there is not: got %+v", row["Nothing"])
	}
	callMethod(nil, self, method{"HasNoSuchMethod", nil, []string{"User"}}, row)
	if v := row["User"]; v.Absent == posture.NotAsked || v.Code == 0 {
		t.Errorf("a method that there is not: got %+v", v)
	}
}

func TestReportingPrograms(t *testing.T) {
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		root + `\system32\kernel32.dll`:        true,
		`"%SystemRoot%\system32\kernel32.dll"`: true,
		`%windir%\system32\no-such-program`:    false,
		root + `\no-such-folder\av.exe`:        false,
	} {
		if there, err := localProgramExists(name); there != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", name, there, err, want)
		}
	}
	for _, variable := range []string{"ProgramFiles", "ProgramW6432", "ProgramFiles(x86)", "CommonProgramFiles", "ProgramData", "SystemRoot", "SystemDrive"} {
		if folder, err := systemFolder(variable); err != nil || len(folder) < 2 || folder[1] != ':' {
			t.Errorf("%s: got %q, %v", variable, folder, err)
		}
	}
	for _, name := range []string{`\\127.0.0.1\c$\av.exe`, `%APPDATA%\av.exe`, `windowsdefender://`} {
		if there, err := localProgramExists(name); there || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %v, %v", name, there, err)
		}
	}
}

// TestAThousandQuestionsLeaveNothing of ours behind in the process that answers
// them. Wine itself keeps about two kilobytes for each, although the last
// release of every object says that it was the last, and counts no handles.
func TestAThousandQuestionsLeaveNothing(t *testing.T) {
	a := newCOMForTests(t)
	a.env = append(a.env, "GOGC=10") // what Go's collector leaves lying about is no leak
	ask := func(times int) {
		for i := range times {
			spec := operatingSystem
			if i%4 == 0 {
				spec, _ = BitLockerVolumes.spec(posture.Windows)
			}
			if rows, err := a.rows(t.Context(), spec); err != nil && CodeOf(err) == 0 || err == nil && len(rows) == 0 {
				t.Fatal(rows, err)
			}
		}
	}
	weigh := func() (handles uint32, bytes uintptr) {
		h, err := windows.OpenProcess(windows.PROCESS_QUERY_INFORMATION|windows.PROCESS_VM_READ, false, uint32(a.process.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		defer windows.CloseHandle(h)
		ok, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount").Call(uintptr(h), uintptr(unsafe.Pointer(&handles)))
		if ok == 0 {
			t.Fatal(err)
		}
		var memory struct {
			size, faults                                                                                      uint32
			peakWorking, working, peakPaged, paged, peakNonPaged, nonPaged, committed, peakCommitted, private uintptr
		}
		memory.size = uint32(unsafe.Sizeof(memory))
		ok, _, err = procGetProcessMemoryInfo.Call(uintptr(h), uintptr(unsafe.Pointer(&memory)), uintptr(memory.size))
		if ok == 0 {
			t.Fatal(err)
		}
		return handles, memory.committed
	}
	ask(100)
	handles, bytes := weigh()
	ask(1000)
	handlesAfter, bytesAfter := weigh()
	t.Logf("handles %d, then %d; private bytes %d, then %d", handles, handlesAfter, bytes, bytesAfter)
	if handlesAfter > handles+8 {
		t.Errorf("handles: %d after 100 questions, %d after 1000 more", handles, handlesAfter)
	}
	if bytesAfter > bytes+8<<20 {
		t.Errorf("private bytes: %d after 100 questions, %d after 1000 more", bytes, bytesAfter)
	}
}

// TestTheReaderAsksApart and leaves no process behind when its work is done.
func TestTheReaderAsksApart(t *testing.T) {
	reader := New("/")
	rows, err := reader.Rows(t.Context(), DefenderStatus)
	if err == nil && len(rows) == 0 || err != nil && CodeOf(err) == 0 {
		t.Errorf("got %v, %v", rows, err)
	}
	p := asideOfThis.process
	if p == nil {
		t.Fatal("no process was started")
	}
	EndApart()
	<-p.gone
	if asideOfThis.process != nil {
		t.Error("a process that is gone is kept")
	}
	EndApart() // with nothing to end
}
