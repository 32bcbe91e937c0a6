package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheAgentOpensNoPort: of the sockets that a running agent has, none
// listens, and none is open to datagrams from others.
func TestTheAgentOpensNoPort(t *testing.T) {
	x := newTalk(t)
	pid := x.Agent().PID()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	must(t, err)
	own := map[string]bool{}
	for _, l := range links {
		target, err := os.Readlink(l)
		if err != nil {
			continue // closed since
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	connected := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // a system without IPv6
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 10 || !own[f[9]] {
				continue
			}
			const established = "01"
			if strings.HasPrefix(table, "tcp") && f[3] == established {
				connected++
				continue
			}
			t.Errorf("the agent has a %s socket at %s in state %s", table, f[1], f[3])
		}
	}
	if connected != 1 {
		t.Errorf("the agent has %d connections, want the one to its collector", connected)
	}
}
