package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/shared/clock"
)

// agentProcess, as the first argument, makes of this program an agent of its
// own that can be killed: its state folder and a recorded machine follow.
const agentProcess = "e2e-agent"

func TestMain(m *testing.M) {
	if agentapp.IsChild(os.Args) {
		os.Exit(agentapp.RunChild(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) == 4 && os.Args[1] == agentProcess {
		err := agentapp.Run(context.Background(), agentapp.Config{
			State: os.Args[2], Replay: os.Args[3], Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		}, clock.System{})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if programs.dir != "" {
		if err := os.RemoveAll(programs.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(status)
}
