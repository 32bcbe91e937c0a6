package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// subject is what a rule is applied to, with its facts.
type subject struct {
	posture.Subject
	object *object // nil for the device
}

// everything is the subject of a finding about a kind as a whole: the device,
// or all of the kind that no other finding is about.
func everything(kind string) posture.Subject {
	s := posture.Subject{Kind: kind}
	switch kind {
	case "device":
		s.Label = "this device"
	case "volume":
		s.Label = "disks"
	case "antivirus":
		s.Label = "antivirus"
	case "medium":
		s.Label = "removable media"
	case "program":
		s.Label = "programs"
	case "executable":
		s.Label = "programs in people's folders"
	}
	return s
}

// subjects returns what a rule for a kind is applied to, in the order of keys.
func (l *Language) subjects(kind string, c *context) []subject {
	v := l.vocabulary
	switch kind {
	case "volume":
		return name(kind, answerList(c, v.volume, c.facts.Volumes), volumeSubject)
	case "antivirus":
		return name(kind, answerList(c, v.antivirus, c.facts.Antivirus), antivirusSubject)
	case "medium":
		return name(kind, answerList(c, v.medium, c.facts.Media), mediumSubject)
	case "program":
		return name(kind, answerList(c, v.program, c.facts.Programs), programSubject)
	case "executable":
		return name(kind, answerList(c, v.executable, c.facts.Executables), executableSubject)
	}
	return []subject{{Subject: everything("device")}}
}

// name gives each item of a list its subject.
func name[T any](kind string, items *list, of func(*T) posture.Subject) []subject {
	out := make([]subject, 0, len(items.items))
	for _, o := range items.items {
		s := subject{Subject: everything(kind), object: o}
		if item, ok := o.item.(*T); ok {
			s.Subject = of(item)
			s.Kind = kind
			s.Key = bounded(s.Key)
		}
		out = append(out, s)
	}
	return out
}

// bounded keeps keys short: what is longer is named by its hash.
func bounded(key string) string {
	const most = 200
	if len(key) <= most {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func volumeSubject(v *posture.Volume) posture.Subject {
	label := "disk"
	switch v.Role {
	case posture.SystemVolume:
		label = "system disk"
	case posture.DataVolume:
		label = "data disk"
	case posture.SwapVolume:
		label = "swap area"
	case posture.BootVolume:
		label = "start-up disk"
	}
	if v.Mount != "" && v.Mount != "other" {
		label += " " + v.Mount
	}
	return posture.Subject{Key: v.ID, Label: label}
}

func antivirusSubject(a *posture.Antivirus) posture.Subject {
	return posture.Subject{Key: a.Product, Label: cmp.Or(a.Name, a.Product)}
}

// mediumSubject names a medium by the hash of its serial number, or where that
// is not known, by its make. Two media of one make are then one subject, of
// which the worse counts.
func mediumSubject(m *posture.Medium) posture.Subject {
	key := strings.Join([]string{m.Bus, m.VendorID, m.ProductID, m.Vendor, m.Product}, ":")
	if m.Serial.Known() && m.Serial.Value != "" {
		key = m.Serial.Value
	}
	label := strings.TrimSpace(m.Vendor + " " + m.Product)
	return posture.Subject{Key: key, Label: cmp.Or(label, "removable medium")}
}

func programSubject(p *posture.Program) posture.Subject {
	return posture.Subject{Key: p.Source + ":" + p.Name + ":" + p.Architecture, Label: p.Name}
}

func executableSubject(e *posture.Executable) posture.Subject {
	key, label := string(e.Location)+":", "unlisted program"
	if e.SHA256.Known() {
		key += e.SHA256.Value
		label += " " + e.SHA256.Value[:min(8, len(e.SHA256.Value))] // tells several apart; no name may
	} else {
		key += "unread:" + string(e.Format)
	}
	if e.Product.Known() && e.Product.Value != "" {
		label = e.Product.Value
	}
	return posture.Subject{Key: key, Label: label}
}

// sorted returns the facts with the items of every answer in an order of their
// own, so that the order in which a system lists them means nothing. It leaves
// its argument as it is.
func sorted(f posture.Facts) *posture.Facts {
	f.Volumes.Items = inOrder(f.Volumes.Items, func(v *posture.Volume) string { return v.ID })
	f.Antivirus.Items = inOrder(f.Antivirus.Items, func(a *posture.Antivirus) string { return a.Product })
	f.Media.Items = inOrder(f.Media.Items, func(m *posture.Medium) string { return mediumSubject(m).Key })
	f.Programs.Items = inOrder(f.Programs.Items, func(p *posture.Program) string { return programSubject(p).Key })
	f.Executables.Items = inOrder(f.Executables.Items, func(e *posture.Executable) string { return executableSubject(e).Key })
	f.MediaEvents.Items = inOrder(f.MediaEvents.Items, func(e *posture.MediumEvent) string { return e.At.Format(time.RFC3339Nano) })
	f.Scripts.Items = inOrder(f.Scripts.Items, func(t *posture.Tally) string { return string(t.Location) + string(t.Format) })
	return &f
}

// inOrder sorts items by a key, and those with the same key by all they hold.
func inOrder[T any](items []T, key func(*T) string) []T {
	if len(items) < 2 {
		return items
	}
	type keyed struct {
		key  string
		item T
	}
	out := make([]keyed, len(items))
	ordered := true
	for i := range items {
		out[i] = keyed{key(&items[i]), items[i]}
		ordered = ordered && (i == 0 || out[i-1].key < out[i].key)
	}
	if ordered {
		return items
	}
	slices.SortStableFunc(out, func(a, b keyed) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(whole(a.item), whole(b.item))
	})
	back := make([]T, len(out))
	for i := range out {
		back[i] = out[i].item
	}
	return back
}

func whole(item any) string {
	b, err := json.Marshal(item)
	if err != nil {
		return "" // no fact holds what JSON cannot: the order is then the system's
	}
	return string(b)
}

// readAt returns when the oldest of some sections was read; the zero time if
// none was.
func (c *context) readAt(sections []string) time.Time {
	var oldest time.Time
	for _, s := range sections {
		at, ok := c.sectionReadAt(s)
		if ok && !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

func (c *context) sectionReadAt(section string) (time.Time, bool) {
	f, s := c.facts, c.school
	switch section {
	case "system":
		return read(f.System)
	case "encryption":
		return read(f.Volumes)
	case "antivirus":
		return read(f.Antivirus)
	case "media":
		return read(f.Media)
	case "media-events":
		return read(f.MediaEvents)
	case "programs":
		return read(f.Programs)
	case "executables":
		return read(f.Executables)
	case "security":
		return read(f.Security)
	case "contact":
		return read(s.Contact)
	case "coverage":
		return read(s.Coverage)
	case "agent":
		return read(s.Agent)
	case "escrow":
		return read(s.Escrow)
	case "register":
		return read(s.Register)
	case "licences":
		return read(s.Licences)
	case "allocation":
		return read(s.Allocation)
	case "acceptableUse":
		return read(s.AcceptableUse)
	}
	return time.Time{}, false
}

func read[T any](a posture.Answer[T]) (time.Time, bool) { return a.ReadAt, a.Absent == posture.None }
