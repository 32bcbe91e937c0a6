package view

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4/table"
)

// sound reports what is wrong with the files of a view that is closed. Badger
// checks none of its tables when it opens them, and one that is not as it was
// written ends the program, or is shown.
func sound(dir string) error {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return fmt.Errorf("list the tables of the view: %w", err)
	}
	for _, name := range tables {
		if err := soundTable(name); err != nil {
			return fmt.Errorf("the table %s is not as it was written: %w", filepath.Base(name), err)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return fmt.Errorf("list the logs of the view: %w", err)
	}
	// A log is read up to where it is torn. When power fails an older one may
	// lack what a newer one rests on; when only the program ends, none does.
	if boot := bootNow(); len(logs) > 1 && (boot == "" || boot != bootThen(dir)) {
		return errors.New("the machine stopped while it was being written")
	}
	return nil
}

// soundTable checks every block of a table against its checksum. Some damage
// Badger answers with a panic: here it costs the table only.
func soundTable(name string) (err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return errors.New("it is empty")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be read: %.100v", p)
		}
	}()
	o := options("", false)
	t, err := table.OpenInMemoryTable(data, 1, &table.Options{
		BlockSize: o.BlockSize, Compression: o.Compression, BloomFalsePositive: o.BloomFalsePositive,
	})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}

// bootFile holds the number of the boot in which the view was last opened.
const bootFile = "boot"

// bootNow returns the number of this boot; "" where the system gives none.
func bootNow() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

func bootThen(dir string) string {
	id, err := os.ReadFile(filepath.Join(dir, bootFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// prepare makes the files of a view ready to be opened: it notes the boot, and
// removes what Badger counts for itself, because it believes whatever it finds
// there.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the view: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, "DISCARD")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the counts of the view: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, bootFile), []byte(bootNow()+"\n"), 0o600); err != nil {
		return fmt.Errorf("note the boot beside the view: %w", err)
	}
	return nil
}
