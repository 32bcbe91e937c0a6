package peer

import (
	"os"
	"testing"

	agentapp "github.com/caretaker-school/caretaker/agent/app"
)

// TestMain lets the agent start its children: it runs in this process.
func TestMain(m *testing.M) {
	if agentapp.IsChild(os.Args) {
		os.Exit(agentapp.RunChild(os.Args, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
