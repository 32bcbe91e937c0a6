package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestASeedRepeatsItsFaults(t *testing.T) {
	names, err := chosen(strings.Split(usual, ","))
	if err != nil {
		t.Fatal(err)
	}
	kinds, begun := map[string]bool{}, map[begin]bool{}
	differs := false
	for number := 1; number <= 200; number++ {
		p := plan(7, number, names)
		if again := plan(7, number, names); again != p {
			t.Errorf("round %d is %+v, and again %+v", number, p, again)
		}
		differs = differs || plan(8, number, names) != p
		kinds[p.fault], begun[p.begin] = true, true
		if p.moment.n < 0 || !p.moment.bytes && p.moment.n == 0 || p.fault == "cut" && !p.moment.bytes {
			t.Errorf("round %d has no such moment: %+v", number, p)
		}
	}
	if !differs || len(kinds) != len(names) || len(begun) != int(begins) {
		t.Errorf("200 rounds have the faults %v and beginnings %v; another seed differs: %t", kinds, begun, differs)
	}
}

func TestFaultsThatThereAre(t *testing.T) {
	if got, err := chosen([]string{"cut", "full-disk"}); err != nil || strings.Join(got, ",") != "cut,full-disk-agent,full-disk-collector" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, names := range [][]string{nil, {"cut", "quake"}, {"clock"}} {
		if got, err := chosen(names); err == nil {
			t.Errorf("%v were taken for %v", names, got)
		}
	}
	for _, f := range faults() {
		if f.about == "" || !strings.Contains(about(), f.name) {
			t.Errorf("nothing is said about %s", f.name)
		}
	}
}

// TestAFewFaults runs the released programs through some rounds, as the
// runner's own command does through many.
func TestAFewFaults(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a released agent is given a laptop of its own on Linux, by root")
	}
	dir := t.TempDir()
	for _, program := range []string{"agent", "collector"} {
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", filepath.Join(dir, program), "../../../"+program)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the programs: %v\n%s", err, out)
		}
	}
	short, err := os.MkdirTemp("", "faults")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(short); err != nil {
			t.Error(err)
		}
	})
	var out bytes.Buffer
	r := run{
		agent: filepath.Join(dir, "agent"), collector: filepath.Join(dir, "collector"), seed: uint64(time.Now().UnixNano()),
		rounds: 3, faults: []string{"kill-agent", "kill-collector", "cut", "full-disk-collector"}, every: 3, dir: short, out: &out,
	}
	number, err := r.do(t.Context())
	t.Logf("seed %d\n%s", r.seed, out.String())
	if err != nil || number != r.rounds {
		t.Errorf("ended in round %d: %v", number, err)
	}
}
