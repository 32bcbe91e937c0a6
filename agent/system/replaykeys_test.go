package system_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

const hives = `
{"key":"HKLM\\SOFTWARE","holds":{"keys":["Zeta","Acme","Policies"]}}
{"key":"HKLM\\SOFTWARE\\Acme","holds":{"values":{"":"own","Größe":1,"Flags":null}}}
{"key":"HKLM\\SOFTWARE\\Zeta","absent":"denied","code":"0x00000005"}
{"key":"HKLM\\SYSTEM\\Gone","missing":true}
{"key":"HKLM\\SYSTEM\\Refused","missing":true,"code":"0x00000002"}
{"under":"HKLM\\SYSTEM\\CurrentControlSet\\Enum","missing":true}
{"key":"HKLM\\SYSTEM\\CurrentControlSet\\Enum\\USB","holds":{}}
{"key":"HKU","holds":{"keys":["S-1-5-18"]}}
{"rows":"services","list":[{"Name":"wscsvc","State":4},{}]}
{"rows":"accounts","list":[]}
{"rows":"bitlocker-volumes","missing":true,"code":"0x8004100e"}
{"rows":"defender-status","absent":"unreadable","code":"0x800106ba"}
{"rows":"sessions","absent":"timed out"}
`

func TestReplayOfKeys(t *testing.T) {
	m := systemtest.Replay(t, posture.Windows, hives)
	ctx := t.Context()
	key, err := m.Key(ctx, `hklm\software`)
	if err != nil || !slices.Equal(key.Keys, []string{"Acme", "Policies", "Zeta"}) || len(key.Values) != 0 {
		t.Errorf("a key: got %+v, %v", key, err)
	}
	key, err = m.Key(ctx, `HKLM\Software\ACME`)
	if err != nil || key.Values.Text("").Value != "own" || key.Values.Number("größe").Value != 1 || len(key.Keys) != 0 {
		t.Errorf("its values: got %+v, %v", key, err)
	}
	// What is given is the caller's own.
	key.Values["Größe"] = system.TextValue("changed")
	if again, err := m.Key(ctx, `HKLM\Software\ACME`); err != nil || again.Values.Number("Größe").Value != 1 {
		t.Errorf("asked again: got %+v, %v", again, err)
	}
	for name, want := range map[string]error{
		`HKLM\SOFTWARE\Zeta`:                           fs.ErrPermission,
		`HKLM\SOFTWARE\Zeta\Below`:                     system.ErrNotRecorded,
		`HKLM\SOFTWARE\Policies`:                       system.ErrNotRecorded, // listed, so it is there
		`HKLM\SOFTWARE\Policies\Microsoft`:             system.ErrNotRecorded,
		`HKLM\SOFTWARE\Other`:                          fs.ErrNotExist, // its parent does not list it
		`HKLM\SOFTWARE\Other\Deeper`:                   fs.ErrNotExist,
		`HKLM\SOFTWARE\Acme\Below`:                     fs.ErrNotExist,
		`HKLM\SYSTEM\Gone`:                             fs.ErrNotExist,
		`HKLM\SYSTEM\Gone\Below`:                       fs.ErrNotExist,
		`HKLM\SYSTEM\Else`:                             system.ErrNotRecorded,
		`HKLM\SYSTEM\CurrentControlSet\Enum`:           fs.ErrNotExist,
		`HKLM\SYSTEM\CurrentControlSet\ENUM\USBSTOR\x`: fs.ErrNotExist,
		`HKLM\SYSTEM\CurrentControlSet\Enumerate`:      system.ErrNotRecorded,
		`HKLM`:                             system.ErrNotRecorded,
		`HKU\S-1-5-18\Software`:            system.ErrNotRecorded,
		`HKU\S-1-5-21-1-2-3-1001\Software`: fs.ErrNotExist,
		`HKCU\Software`:                    fs.ErrInvalid,
		`HKLM\\x`:                          fs.ErrInvalid,
		``:                                 fs.ErrInvalid,
	} {
		if _, err := m.Key(ctx, name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	if _, err := m.Key(ctx, `HKLM\SYSTEM\CurrentControlSet\Enum\USB`); err != nil {
		t.Errorf("a key in what is else missing: %v", err)
	}
	if _, err := m.Key(ctx, `HKLM\SOFTWARE\Zeta`); system.CodeOf(err) != 5 {
		t.Errorf("a refusal: got %v", err)
	}
	if _, err := m.Key(ctx, `HKLM\SYSTEM\Refused`); system.CodeWord(err) != "0x00000002" {
		t.Errorf("a key that is not there: got %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Key(ended, "HKU"); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: got %v", err)
	}
}

func TestReplayOfRows(t *testing.T) {
	m := systemtest.Replay(t, posture.Windows, hives)
	ctx := t.Context()
	rows, err := m.Rows(ctx, system.Services)
	if err != nil || len(rows) != 2 || rows[0].Text("Name").Value != "wscsvc" {
		t.Errorf("services: got %v, %v", rows, err)
	}
	rows[0]["Name"] = system.TextValue("changed")
	if again, err := m.Rows(ctx, system.Services); err != nil || again[0].Text("Name").Value != "wscsvc" {
		t.Errorf("asked again: got %v, %v", again, err)
	}
	if rows, err := m.Rows(ctx, system.Accounts); err != nil || rows == nil || len(rows) != 0 {
		t.Errorf("no accounts: got %v, %v", rows, err)
	}
	for name, want := range map[system.Rowset]struct {
		like error
		code uint32
	}{
		system.BitLockerVolumes: {fs.ErrNotExist, 0x8004100e},
		system.DefenderStatus:   {nil, 0x800106ba},
		system.Sessions:         {context.DeadlineExceeded, 0},
		system.Disks:            {system.ErrNotRecorded, 0},
	} {
		_, err := m.Rows(ctx, name)
		if err == nil || want.like != nil && !errors.Is(err, want.like) || system.CodeOf(err) != want.code {
			t.Errorf("%s: got %v, want %v and %#x", name, err, want.like, want.code)
		}
	}
	if _, err := m.Rows(ctx, system.DefenderStatus); system.Absence(err) != posture.Unreadable || !strings.Contains(err.Error(), "0x800106ba") {
		t.Errorf("a failure: got %v", err)
	}
}

func TestReplayRefusesKeysAndRows(t *testing.T) {
	head := []byte(`{"format":1,"platform":"windows","recordedAt":"2026-11-20T00:00:00Z","origin":"synthetic"}`)
	for _, line := range []string{
		`{"key":"HKCU\\x","holds":{}}`, `{"key":"HKLM\\","holds":{}}`, `{"key":"HKLM\\a\\\\b","holds":{}}`, `{"key":"HKLM\\x"}`,
		`{"key":"HKLM\\x","holds":{"other":1}}`, `{"key":"HKLM\\x","holds":{},"missing":true}`, `{"key":"HKLM\\x","list":[]}`,
		`{"key":"HKLM\\x","holds":{"values":{"a":1.5}}}`, `{"key":"HKLM\\x","holds":{"values":{"a":{"absent":"x"}}}}`,
		`{"rows":"services"}`, `{"rows":"services","list":null}`, `{"rows":"services","list":[null]}`, `{"rows":"services","holds":{}}`,
		`{"rows":"services","missing":true,"code":"x"}`, `{"rows":"services","list":[],"code":"0x00000005"}`, `{"rows":"services","list":[],"key":"HKU","holds":{}}`,
		`{"under":"HKCU\\x","missing":true}`, `{"under":"HKLM\\x","absent":"denied"}`,
		"{\"key\":\"HKLM\\\\x\",\"missing\":true}\n{\"key\":\"hklm\\\\X\",\"missing\":true}",
	} {
		if _, err := system.NewReplay(head, []byte(line)); err == nil {
			t.Errorf("%s was taken", line)
		}
	}
}
