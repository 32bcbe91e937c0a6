package system

import "testing"

func TestWindowsTellsItsBoot(t *testing.T) {
	id, uptime, err := Boot(t.Context(), New("/"))
	if err != nil || uptime <= 0 || uptime.Seconds() >= maxUptime {
		t.Fatalf("boot: got %q, %v, %v", id, uptime, err)
	}
	if _, err := parseBootID(id); err != nil {
		t.Error(err)
	}
	again, later, err := Boot(t.Context(), New("/"))
	if err != nil || again != id || later < uptime {
		t.Errorf("asked again: got %q after %q, %v after %v, %v", again, id, later, uptime, err)
	}
	t.Logf("boot %s, %v ago", id, uptime)
}
