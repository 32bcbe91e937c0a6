package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	agent "github.com/caretaker-school/caretaker/agent/app"
)

// atRest is how long the agent is left alone after its first assessment, and
// watched how long after that.
const (
	atRest  = time.Minute
	watched = 30 * time.Second
)

// reassessments is how often the agent is asked to assess itself again: as
// often as it does so without a pause.
const reassessments = 3

// dressed starts the agent on a laptop of ours: with our people, their files
// and our packages in the place of this machine's, for the agent alone.
const dressed = `set -e
mount --bind "$1/home" /home
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/status" /var/lib/dpkg/status
for d in $4; do mount -t tmpfs -o mode=1777 none "$d"; done
exec "$2" run --state "$3"`

// emptied lists the folders for anybody that are empty on the laptop: all but
// one in which we work.
func emptied(work ...string) string {
	var list []string
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if !slices.ContainsFunc(work, func(w string) bool { return strings.HasPrefix(w, dir+"/") }) {
			list = append(list, dir)
		}
	}
	return strings.Join(list, " ")
}

// agentAtRest measures the agent's own program: enrolled, connected and left
// alone after a full assessment, then asked to assess itself again.
func (b *bench) agentAtRest(ctx context.Context) (rows []row, err error) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil, errors.New("the agent is measured on Linux, as root: it is given a laptop of its own to look at")
	}
	s, err := b.newSchool(ctx, "agent")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("read the list of people: %w", err)
	}
	if err := writeLaptop(s.dir, passwd); err != nil {
		return nil, err
	}
	collector, err := s.collect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, stopped := collector.stop()
		err = errors.Join(err, stopped)
	}()
	token, err := s.token(ctx, 1)
	if err != nil {
		return nil, err
	}
	state := filepath.Join(s.dir, "state")
	if _, _, err := call(ctx, b.agent, "enroll", "--state", state, "--token", token); err != nil {
		return nil, err
	}
	return s.watch(ctx, state)
}

// watch runs the agent on a state folder.
func (s *school) watch(ctx context.Context, state string) ([]row, error) {
	p, err := launch(ctx, s.dir, "unshare", "--mount", "--propagation", "private", "sh", "-c", dressed, "sh", s.dir, s.b.agent, state, emptied(s.dir, s.b.agent))
	if err != nil {
		return nil, err
	}
	rows, err := s.rest(ctx, p, state)
	if err == nil {
		var cpu row
		cpu, err = s.reassess(ctx, p, state)
		rows = append(rows, cpu)
	}
	ended, stopped := p.stop()
	if err := errors.Join(err, stopped); err != nil {
		return nil, err
	}
	most, ok := peak(ended)
	if !ok {
		return nil, errors.New("read the most memory that a child had: this system does not tell")
	}
	return append(rows, row{
		what: "agent: peak of a child that assesses", ours: most / mebibyte, unit: "MiB", limit: 96, want: atMost, bound: 1,
	}), nil
}

// rest leaves the agent alone after its first assessment.
func (s *school) rest(ctx context.Context, p *program, state string) ([]row, error) {
	if err := until(ctx, "the agent has reported", func() (bool, error) {
		if _, err := resident(p.pid()); err != nil {
			words, _ := os.ReadFile(p.log.Name()) // they are there or not
			return false, fmt.Errorf("the agent ended early: %.2000s", words)
		}
		// Not before the agent has begun to write its own: who asks for it tries
		// the agent's lock, and an agent that starts just then would not.
		if _, err := os.Stat(filepath.Join(state, "status.json")); err != nil {
			return false, nil //nolint:nilerr // it is not there yet
		}
		status, err := agent.ReadStatus(state, time.Time{}, time.Now())
		return !status.AssessedAt.IsZero() && status.Acknowledged > 0 && status.Waiting == 0, err
	}); err != nil {
		return nil, err
	}
	exporter, err := s.exporter(ctx)
	if err != nil {
		return nil, err
	}
	if err := exporter.scrape(ctx, atRest); err != nil {
		return nil, err
	}
	memory, err := resident(p.pid())
	if err != nil {
		return nil, err
	}
	before, err := switches(p.pid())
	if err != nil {
		return nil, err
	}
	if err := exporter.scrape(ctx, watched); err != nil {
		return nil, err
	}
	after, err := switches(p.pid())
	if err != nil {
		return nil, err
	}
	rows := []row{
		{what: "agent: resident at rest", ours: memory / mebibyte, unit: "MiB", limit: 18, want: atMost, bound: 1},
		{what: "agent: context switches at rest", ours: (after - before) / watched.Seconds(), unit: "/s", limit: 1, want: atMost, bound: 1},
	}
	theirs, err := exporter.leave()
	if err == nil && theirs > 0 {
		rows = append(rows, row{
			what: "agent: resident at rest", ours: memory / mebibyte, unit: "MiB", limit: theirs / mebibyte, against: "node_exporter", want: atMost, bound: 0.85,
		})
	}
	return rows, err
}

// reassess asks the agent to look at everything again. What counts are the
// assessments that followed one like them and after which nothing had changed:
// the agent then confirms the report that it made before.
func (s *school) reassess(ctx context.Context, p *program, state string) (row, error) {
	var own, children time.Duration
	var each []string
	counted := 0
	for range reassessments {
		stays, others, same, err := s.reassessOnce(ctx, p, state)
		if err != nil {
			return row{}, err
		}
		took := fmt.Sprintf("%d ms", (stays + others).Milliseconds())
		if same {
			own, children, counted = own+stays, children+others, counted+1
		} else {
			took += " (not counted: something of this machine's had changed)"
		}
		each = append(each, took)
	}
	if counted == 0 {
		return row{}, errors.New("measure an assessment after which nothing had changed: something of this machine's changed each time")
	}
	mean := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(counted) }
	return row{
		what: "agent: processor time of assessing again, nothing changed", ours: mean(own + children), unit: "ms", limit: 150, want: atMost, bound: 1,
		note: fmt.Sprintf("%d packages, %d files known; %.0f ms in the part that stays, %.0f ms in children; one by one %s",
			packages, filesOfPeople, mean(own), mean(children), strings.Join(each, ", ")),
	}, nil
}

// reassessOnce returns the processor time of one assessment, in the part that
// stays and in children, and whether nothing had changed after it.
func (s *school) reassessOnce(ctx context.Context, p *program, state string) (own, children time.Duration, same bool, err error) {
	ownBefore, childrenBefore, err := processorTime(p.pid())
	if err != nil {
		return 0, 0, false, err
	}
	last, err := agent.ReadStatus(state, time.Time{}, time.Now())
	if err != nil {
		return 0, 0, false, err
	}
	if _, _, err := call(ctx, s.b.collector, "device", "assess", last.Device, "--data", s.data); err != nil {
		return 0, 0, false, err
	}
	var now agent.Status
	if err := until(ctx, "the agent has assessed itself again", func() (bool, error) {
		var err error
		now, err = agent.ReadStatus(state, time.Time{}, time.Now())
		return now.AssessedAt.After(last.AssessedAt) && now.ReportedAt.After(last.ReportedAt) && now.Waiting == 0, err
	}); err != nil {
		return 0, 0, false, err
	}
	ownAfter, childrenAfter, err := processorTime(p.pid())
	return ownAfter - ownBefore, childrenAfter - childrenBefore, now.Acknowledged == last.Acknowledged, err
}

// exporter is node_exporter, asked every ten seconds as it is made for.
type exporter struct {
	*program // nil where it is not installed
	url      string
}

func (s *school) exporter(ctx context.Context) (exporter, error) {
	name, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		return exporter{}, nil //nolint:nilerr // the line is left out where the peer is not installed
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return exporter{}, fmt.Errorf("find a free port: %w", err)
	}
	address := l.Addr().String()
	l.Close()
	p, err := launch(ctx, s.dir, name, "--web.listen-address="+address)
	return exporter{p, "http://" + address + "/metrics"}, err
}

// scrape waits, and meanwhile asks the exporter for its metrics.
func (e exporter) scrape(ctx context.Context, wait time.Duration) error {
	const every = 10 * time.Second
	for ; wait > 0; wait -= every {
		if err := pause(ctx, min(wait, every)); err != nil {
			return err
		}
		if e.program == nil {
			continue
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
		if err != nil {
			return fmt.Errorf("ask node_exporter: %w", err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("ask node_exporter: %w", err)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return fmt.Errorf("ask node_exporter: %w", err)
		}
	}
	return nil
}

// leave ends it and returns what it had resident; 0 where it is not installed.
func (e exporter) leave() (float64, error) {
	if e.program == nil {
		return 0, nil
	}
	memory, err := resident(e.pid())
	_, stopped := e.stop()
	return memory, errors.Join(err, stopped)
}
