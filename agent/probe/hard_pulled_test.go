package probe

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/agent/system/systemtest"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// pulled is a machine from which all media are pulled out after some readings:
// what the kernel shows of them is gone, and their disks cannot be read.
type pulled struct {
	system.Reader
	after, reads int
	media        []string // names of disks
}

// gone counts a reading, and says how it fails if it is of a medium that is
// not there any more.
func (p *pulled) gone(path string) error {
	p.reads++
	if p.reads <= p.after || !slices.ContainsFunc(p.media, func(m string) bool { return strings.Contains(path, "/"+m) }) {
		return nil
	}
	if strings.HasPrefix(path, "/dev/") {
		return syscall.EIO
	}
	return fs.ErrNotExist
}

func (p *pulled) File(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := p.gone(path); err != nil {
		return nil, err
	}
	return p.Reader.File(ctx, path, limit)
}

func (p *pulled) Part(ctx context.Context, path string, offset int64, length int) ([]byte, error) {
	if err := p.gone(path); err != nil {
		return nil, err
	}
	return p.Reader.Part(ctx, path, offset, length)
}

func (p *pulled) Dir(ctx context.Context, path string) ([]system.Entry, error) {
	if err := p.gone(path); err != nil {
		return nil, err
	}
	list, err := p.Reader.Dir(ctx, path)
	if p.reads > p.after && path == "/sys/class/block" {
		list = slices.DeleteFunc(slices.Clone(list), func(e system.Entry) bool { return p.gone("/"+e.Name) != nil })
	}
	return list, err
}

func (p *pulled) Link(ctx context.Context, path string) (string, error) {
	if err := p.gone(path); err != nil {
		return "", err
	}
	return p.Reader.Link(ctx, path)
}

func (p *pulled) Stat(ctx context.Context, path string) (system.Stat, error) {
	if err := p.gone(path); err != nil {
		return system.Stat{}, err
	}
	return p.Reader.Stat(ctx, path)
}

// TestAStickPulledOutAtAnyReading is not seen at all, or as what it was, or as
// one of which something is not known: never as another, and in particular not
// as one that holds nothing.
func TestAStickPulledOutAtAnyReading(t *testing.T) {
	eachMachine(t, "media", func(t *testing.T, dir string) {
		machine := systemtest.Load(t, dir)
		want := askMedia(t, machine)
		var disks []string
		if list, err := machine.Dir(t.Context(), "/sys/class/block"); err == nil {
			for _, e := range list {
				disks = append(disks, e.Name)
			}
		}
		for after := 0; ; after++ {
			sys := &pulled{Reader: machine, after: after, media: disks}
			got := askMedia(t, sys)
			if sys.reads <= after {
				break
			}
			if got.Absent != posture.None {
				continue
			}
			left := slices.Clone(want.Items)
			for _, m := range got.Items {
				i := slices.IndexFunc(left, func(w posture.Medium) bool {
					return (w.Serial == m.Serial || !m.Serial.Known()) && (w.Product == m.Product || m.Product == "")
				})
				if i < 0 {
					t.Errorf("pulled after %d readings: invents %+v", after, m)
					continue
				}
				w := left[i]
				left = slices.Delete(left, i, i+1)
				told(t, "pulled", "encryption", m.Encryption, w.Encryption)
				told(t, "pulled", "capacity", m.Capacity, w.Capacity)
				told(t, "pulled", "writable", m.Writable, w.Writable)
			}
		}
	})
}
