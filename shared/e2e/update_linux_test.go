package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	agentupdate "github.com/caretaker-school/caretaker/agent/update"
	collectorapp "github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/release"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/publisher/publishertest"
	built "github.com/caretaker-school/caretaker/shared/release"
)

// buildAs builds the agent as a version, with a publisher's root.
func buildAs(t *testing.T, dir, version string, root []byte) string {
	t.Helper()
	path := filepath.Join(dir, "caretaker-agent-"+version)
	const room = "github.com/caretaker-school/caretaker/shared/release."
	stamp := "-X " + room + "version=" + version + " -X " + room + "root=" + base64.StdEncoding.EncodeToString(root)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", stamp, "-o", path, "./agent")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
	return path
}

// kept is a school's collector and one laptop whose service manager starts the
// agent again whenever it ends.
type kept struct {
	t                *testing.T
	dir, data, state string
	agent            string
	agents           string // address
	stopCollector    func()
}

// runs keeps a command running until the function that it returns is called. Each
// time it ends it is started again, if again says so.
func (k *kept) runs(again bool, program string, args ...string) func() {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			cmd := exec.CommandContext(ctx, program, args...)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 20 * time.Second
			log := &lines{t: k.t}
			cmd.Stdout, cmd.Stderr = log, log
			err := cmd.Run()
			if ctx.Err() != nil || !again {
				return
			}
			k.t.Logf("%s has ended (%v) and is started again", filepath.Base(program), err)
		}
	}()
	return func() { cancel(); <-done }
}

// serve runs a collector that believes in a publisher's keys.
func (k *kept) serve(root []byte) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- collectorapp.Run(ctx, collectorapp.Config{
			Data: k.data, Agents: k.agents, Web: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&lines{t: k.t}, nil)),
			Updates: collectorapp.Updates{Root: root, Within: time.Second}, Ready: func(string, string) { close(ready) },
		}, clock.System{})
	}()
	k.stopCollector = func() {
		cancel()
		must(k.t, <-ended)
	}
	select {
	case <-ready:
	case err := <-ended:
		k.t.Fatalf("the collector has ended: %v", err)
	}
}

// do carries out an operation, which must succeed.
func (k *kept) do(operation string, arguments, answer any) {
	k.t.Helper()
	must(k.t, collectorapp.Do(k.t.Context(), k.data, operation, arguments, answer, clock.System{}))
}

func (k *kept) offers(p *publishertest.Press, version string) {
	k.t.Helper()
	k.do("update.add", collectorapp.UpdateArguments{Folder: string(p.Dir)}, new(release.Kept))
	k.do("update.offer", collectorapp.UpdateArguments{Offer: release.Offer{Version: version, Share: 100}}, new(release.Standing))
}

func (k *kept) standing() (s release.Standing) {
	k.t.Helper()
	k.do("update.show", collectorapp.UpdateArguments{}, &s)
	return s
}

func (k *kept) status() (s agentapp.Status) {
	k.t.Helper()
	out, err := exec.CommandContext(k.t.Context(), k.agent, "status", "--json", "--state", k.state).Output()
	must(k.t, errors.Join(err, json.Unmarshal(out, &s)))
	return s
}

// runsVersion waits until the laptop says that it runs a version.
func (k *kept) runsVersion(version string) {
	k.t.Helper()
	until(k.t, "the laptop runs "+version, func() bool {
		return slices.Contains(k.standing().Runs, release.Count{Version: version, Devices: 1})
	})
}

// newKept is a school whose collector serves, with the keys of a publisher, and whose
// laptop runs v1.0.0.
func newKept(t *testing.T, press *publishertest.Press) *kept {
	t.Helper()
	dir := openDir(t)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	k := &kept{t: t, dir: dir, data: filepath.Join(dir, "data"), state: filepath.Join(dir, "state"), agents: port.Addr().String()}
	must(t, port.Close())
	k.agent = buildAs(t, dir, "v1.0.0", press.Trusted())
	k.do("init", collectorapp.InitArguments{School: schoolName}, new(collectorapp.InitAnswer))
	k.serve(press.Trusted())
	t.Cleanup(func() { k.stopCollector() })
	var token collectorapp.TokenAnswer
	k.do("token.create", collectorapp.TokenArguments{Uses: 1, Lifetime: time.Hour, Ownership: posture.SchoolSingleUser, Addresses: []string{k.agents}}, &token)
	if out, err := exec.Command(k.agent, "enroll", "--class", "school-single-user", "--token", token.Token, "--state", k.state).CombinedOutput(); err != nil {
		t.Fatalf("enrol: %v: %s", err, out)
	}
	t.Cleanup(k.runs(true, k.agent, "run", "--state", k.state))
	k.runsVersion("v1.0.0")
	return k
}

// remembers waits until the laptop's record of releases is a text.
func (k *kept) remembers(text string) {
	k.t.Helper()
	until(k.t, "the laptop remembers "+text, func() bool {
		record, err := os.ReadFile(filepath.Join(k.state, "programs", "record.json"))
		return err == nil && string(record) == text
	})
}

// TestAVersionThatCrashesAfterItsTrialGoesBack: it has reported, and stays, until
// something has it crash at each start.
func TestAVersionThatCrashesAfterItsTrialGoesBack(t *testing.T) {
	press := publishertest.New(t, time.Now())
	k := newKept(t, press)
	press.Publish("v1.1.0", map[string]string{built.System(): buildAs(t, k.dir, "v1.1.0", press.Trusted())})
	k.offers(press, "v1.1.0")
	k.runsVersion("v1.1.0")
	k.remembers(`{"current":"v1.1.0"}`)

	// The next is itself a program, until there is a mark.
	mark, starts := filepath.Join(k.dir, "crashes"), filepath.Join(k.dir, "starts")
	next := filepath.Join(k.dir, "next")
	script := fmt.Sprintf("#!/bin/sh\n[ ! -e %[1]s ] || { echo x >> %[2]s; exit 1; }\nreal=$(dirname \"$0\")/real\ncp %[3]s \"$real\" && exec \"$real\" \"$@\"\n",
		mark, starts, buildAs(t, k.dir, "v1.2.0", press.Trusted()))
	must(t, os.WriteFile(next, []byte(script), 0o755))
	press.Publish("v1.2.0", map[string]string{built.System(): next})
	k.offers(press, "v1.2.0")
	k.runsVersion("v1.2.0")
	k.remembers(`{"current":"v1.2.0","before":"v1.1.0"}`)
	must(t, os.WriteFile(mark, nil, 0o600))
	k.crashes()
	until(t, "the laptop has gone back, and says so", func() bool {
		s := k.standing()
		return len(s.Failed) == 1 && s.Failed[0].Version == "v1.2.0" && strings.Contains(s.Failed[0].Why, "ended 5 times in a row soon after its start") &&
			slices.Contains(s.Runs, release.Count{Version: "v1.1.0", Devices: 1})
	})
	// The start that was killed counts, if nothing was acknowledged in between.
	if data, err := os.ReadFile(starts); err != nil || len(data) != 2*agentupdate.MostFalls {
		t.Errorf("it was started %d times: %v", len(data)/2, err)
	}
	// It is offered still, and is not taken again today.
	until(t, "it says so", func() bool {
		return strings.Contains(k.status().Update, "v1.2.0 is tried again after")
	})
	k.runsVersion("v1.1.0")
}

// crashes kills the agent that runs.
func (k *kept) crashes() {
	k.t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(k.t, err)
	for _, f := range found {
		line, err := os.ReadFile(f)
		if err != nil || !strings.HasSuffix(string(line), "\x00run\x00--state\x00"+k.state+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		must(k.t, err)
		must(k.t, syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	k.t.Fatal("no agent runs")
}

// TestAgentUpdatesItselfAndGoesBack: the agent as it is built, a publisher with
// real keys, a real swap under something that starts the agent again; and an
// attacker who has the whole collector, its data and its keys.
func TestAgentUpdatesItselfAndGoesBack(t *testing.T) {
	press, thief := publishertest.New(t, time.Now()), publishertest.New(t, time.Now())
	k := newKept(t, press)
	dir := k.dir
	next := buildAs(t, dir, "v1.1.0", press.Trusted())

	// What nobody has offered is taken by nobody; what is offered is.
	press.Publish("v1.1.0", map[string]string{built.System(): next})
	k.offers(press, "v1.1.0")
	k.runsVersion("v1.1.0")
	k.remembers(`{"current":"v1.1.0"}`)
	if s := k.status(); s.Version != "v1.0.0" || s.Runs != "v1.1.0" {
		t.Errorf("the laptop says %+v", s)
	}

	// A version that the publisher signed and that does not work goes back by itself.
	broken := filepath.Join(dir, "broken")
	must(t, os.WriteFile(broken, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	press.Publish("v1.2.0", map[string]string{built.System(): broken})
	k.offers(press, "v1.2.0")
	until(t, "the laptop has gone back, and says so", func() bool {
		s := k.standing()
		return len(s.Failed) == 1 && s.Failed[0].Version == "v1.2.0" && strings.Contains(s.Failed[0].Why, "started 3 times") &&
			slices.Contains(s.Runs, release.Count{Version: "v1.1.0", Devices: 1})
	})
	var stopped release.Standing
	if k.do("update.stop", collectorapp.UpdateArguments{}, &stopped); stopped.Offer.Version != "" || stopped.Share != 0 {
		t.Errorf("after the stop: %+v", stopped)
	}

	// The attacker has all that the collector has, its school's keys included, and a
	// collector of their own in its place that believes in their publisher's keys.
	k.stopCollector()
	mark := filepath.Join(dir, "evil-ran")
	evil := filepath.Join(dir, "evil")
	must(t, os.WriteFile(evil, []byte("#!/bin/sh\ntouch "+mark+"\n"), 0o755))
	thief.Publish("v9.0.0", map[string]string{built.System(): evil})
	k.serve(thief.Trusted())
	k.offers(thief, "v9.0.0")
	until(t, "the laptop has been offered it, and refuses", func() bool {
		return strings.Contains(k.status().Update, "the publisher has not signed this")
	})
	k.runsVersion("v1.1.0")
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something of the attacker's has run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(k.state, "programs", "v9.0.0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something of the attacker's was placed: %v", err)
	}
}
