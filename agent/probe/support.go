package probe

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// supportRow says until when the makers of one release mend it without a
// further contract. For Debian that includes its long-term support, which
// comes from the same archive by itself; for Ubuntu it does not include Pro.
type supportRow struct {
	id, version string // ID and VERSION_ID of os-release; the version up to a dot is tried too
	ends        string // last day, as 2006-01-02; "" for a rolling release, which has none
	extended    string // last day under Ubuntu Pro, if the machine is attached to it
}

// supportTable was put together on 22 November 2026. Debian and Ubuntu are
// from distro-info-data 0.68 of October 2025, the others from their makers'
// pages of life cycles. A release that is not listed is not known, never
// unsupported.
var supportTable = []supportRow{
	{id: "debian", version: "9", ends: "2022-06-30"},
	{id: "debian", version: "10", ends: "2024-06-30"},
	{id: "debian", version: "11", ends: "2026-08-31"},
	{id: "debian", version: "12", ends: "2028-06-30"},
	{id: "debian", version: "13", ends: "2030-06-30"},

	{id: "ubuntu", version: "16.04", ends: "2021-04-30", extended: "2026-04-23"},
	{id: "ubuntu", version: "18.04", ends: "2023-05-31", extended: "2028-04-26"},
	{id: "ubuntu", version: "20.04", ends: "2025-05-29", extended: "2030-04-23"},
	{id: "ubuntu", version: "22.04", ends: "2027-06-01", extended: "2032-04-21"},
	{id: "ubuntu", version: "24.04", ends: "2029-05-31", extended: "2034-04-25"},
	{id: "ubuntu", version: "26.04", ends: "2031-05-29", extended: "2036-04-23"},
	{id: "ubuntu", version: "22.10", ends: "2023-07-20"},
	{id: "ubuntu", version: "23.04", ends: "2024-01-25"},
	{id: "ubuntu", version: "23.10", ends: "2024-07-11"},
	{id: "ubuntu", version: "24.10", ends: "2025-07-10"},
	{id: "ubuntu", version: "25.04", ends: "2026-01-15"},
	{id: "ubuntu", version: "25.10", ends: "2026-07-09"},

	// Fedora 42 and later say it themselves, in SUPPORT_END.
	{id: "fedora", version: "39", ends: "2024-11-26"},
	{id: "fedora", version: "40", ends: "2025-05-13"},
	{id: "fedora", version: "41", ends: "2025-12-15"},

	{id: "rhel", version: "7", ends: "2024-06-30"},
	{id: "rhel", version: "8", ends: "2029-05-31"},
	{id: "rhel", version: "9", ends: "2032-05-31"},
	{id: "rhel", version: "10", ends: "2035-05-31"},
	{id: "rocky", version: "8", ends: "2029-05-31"},
	{id: "rocky", version: "9", ends: "2032-05-31"},
	{id: "rocky", version: "10", ends: "2035-05-31"},
	{id: "almalinux", version: "8", ends: "2029-03-01"},
	{id: "almalinux", version: "9", ends: "2032-05-31"},
	{id: "almalinux", version: "10", ends: "2035-05-31"},
	{id: "centos", version: "7", ends: "2024-06-30"},

	{id: "opensuse-leap", version: "15.5", ends: "2024-12-31"},
	{id: "opensuse-leap", version: "15.6", ends: "2026-04-30"},
	{id: "opensuse-leap", version: "16.0", ends: "2027-10-31"},

	{id: "linuxmint", version: "20", ends: "2025-04-30"},
	{id: "linuxmint", version: "21", ends: "2027-04-30"},
	{id: "linuxmint", version: "22", ends: "2029-04-30"},

	{id: "arch"},
	{id: "opensuse-tumbleweed"},
}

// osSupport reports whether the system is still mended at now, and until when.
func osSupport(ctx context.Context, sys system.Reader, release map[string]string, err error, now time.Time) (posture.Reading[bool], posture.Reading[time.Time]) {
	if err != nil && !missing(err) {
		return absentFor[bool](err), absentFor[time.Time](err)
	}
	// What the release says of itself is newer than any table.
	if ends, ok := lastDay(release["SUPPORT_END"]); ok {
		return posture.Read(now.Before(ends)), posture.Read(ends)
	}
	row, ok := findSupport(release["ID"], release["VERSION_ID"])
	if !ok {
		return unsupported[bool](), unsupportedTime
	}
	ends, ok := lastDay(row.ends)
	if !ok {
		return posture.Read(true), unsupportedTime
	}
	extended, more := lastDay(row.extended)
	if now.Before(ends) || !more {
		return posture.Read(now.Before(ends)), posture.Read(ends)
	}
	pro := ubuntuPro(ctx, sys)
	switch {
	case !pro.Known():
		return pro, posture.Unread[time.Time](pro.Absent)
	case pro.Value:
		return posture.Read(now.Before(extended)), posture.Read(extended)
	}
	return posture.Read(false), posture.Read(ends)
}

func findSupport(id, version string) (supportRow, bool) {
	major, _, _ := strings.Cut(version, ".")
	for _, v := range []string{version, major} {
		for _, row := range supportTable {
			if row.id == id && (row.version == v || row.version == "" && row.ends == "") {
				return row, true
			}
		}
	}
	return supportRow{}, false
}

// lastDay returns the moment at which a day is over: the start of the next one,
// in UTC.
func lastDay(day string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, false
	}
	return t.AddDate(0, 0, 1), true
}

// ubuntuPro reports whether the machine gets the extended fixes of Ubuntu Pro.
func ubuntuPro(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	data, err := sys.File(ctx, "/var/lib/ubuntu-advantage/status.json", configLimit)
	if missing(err) {
		return posture.Read(false)
	}
	if err != nil {
		return absentFor[bool](err)
	}
	return parseUbuntuPro(data)
}

func parseUbuntuPro(data []byte) posture.Reading[bool] {
	var status struct {
		Attached *bool `json:"attached"`
		Services []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"services"`
	}
	if json.Unmarshal(data, &status) != nil || status.Attached == nil {
		return posture.Unread[bool](posture.Unreadable)
	}
	for _, s := range status.Services {
		if *status.Attached && s.Name == "esm-infra" && s.Status == "enabled" {
			return posture.Read(true)
		}
	}
	return posture.Read(false)
}
