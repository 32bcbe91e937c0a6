package tpm

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeviceOfAnotherAccount opens what belongs to another account and group as
// the service does: as root, without the right to pass over that.
func TestDeviceOfAnotherAccount(t *testing.T) {
	if path := os.Getenv("CARETAKER_DEVICE"); path != "" {
		if _, err := unix.Open(path, unix.O_RDWR, 0); !errors.Is(err, unix.EACCES) {
			t.Fatalf("this process may open it anyway: %v", err)
		}
		fd, err := openDevice(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		if group := unix.Getegid(); group != 0 {
			t.Fatalf("it kept the group %d", group)
		}
		if _, err := unix.Open(path, unix.O_RDWR, 0); !errors.Is(err, unix.EACCES) {
			t.Fatalf("a thread kept the group: %v", err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("giving a file to another account takes root")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("there is no setpriv: apt-get install util-linux")
	}
	path := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4711, 4712); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(setpriv, "--bounding-set=-dac_override,-dac_read_search", os.Args[0], "-test.run=^TestDeviceOfAnotherAccount$")
	cmd.Env = append(os.Environ(), "CARETAKER_DEVICE="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := openDevice(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no device: %v", err)
	}
}

// TestThisComputersTPM uses the TPM of the machine that it runs on, which tests do
// only in a guest of their own.
func TestThisComputersTPM(t *testing.T) {
	if os.Getenv("CARETAKER_TPM") == "" {
		t.Skip("run in a guest by shared/e2e/beds: it uses the machine's own TPM")
	}
	path := filepath.Join(t.TempDir(), "device.key.pem")
	key, err := Make(path, System())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // it has room for three
		if err := key.Try(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Load(path, System())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Try(); err != nil {
		t.Fatal(err)
	}
}
