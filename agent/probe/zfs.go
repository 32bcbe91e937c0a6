package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// poolLabel is what the label of one device of a ZFS pool says.
type poolLabel struct {
	pool     string // "" if there is no label
	top      uint64 // which of the pool's parts it belongs to
	children uint64 // how many parts the pool has
}

var errZFS = errors.New("the ZFS label is damaged")

// zfsLabel reads the first label of a device that is part of a ZFS pool.
func zfsLabel(dev image) (poolLabel, error) {
	data, err := dev.part(16<<10, 8192)
	if err != nil {
		return poolLabel{}, err
	}
	// XDR, and a list of version 0 that starts with the pool's own version.
	if len(data) < 12 || data[0] != 1 || !strings.Contains(string(data[:64]), "version") {
		return poolLabel{}, nil
	}
	return parsePoolLabel(data[12:])
}

// parsePoolLabel reads the pairs of names and values of a label up to those
// that matter. A number is eight bytes, a string has its length before it, and
// everything is filled up to four bytes.
func parsePoolLabel(data []byte) (poolLabel, error) {
	const number, text = 8, 9
	var label poolLabel
	found := map[string]bool{}
	for len(data) >= 12 {
		size := int64(binary.BigEndian.Uint32(data))
		nameLength := int64(binary.BigEndian.Uint32(data[8:]))
		if size == 0 {
			break
		}
		padded := (nameLength + 3) &^ 3
		value := 12 + padded + 8 // after the type and the number of elements
		if nameLength > 256 || size < value || size > int64(len(data)) {
			break // a list too long for what was read: it comes after what matters
		}
		name := string(data[12 : 12+nameLength])
		kind := binary.BigEndian.Uint32(data[12+padded:])
		body := data[value:size]
		found[name] = true
		switch {
		case name == "name" && kind == text && len(body) >= 4:
			length := int64(binary.BigEndian.Uint32(body))
			if length > 256 || length > int64(len(body))-4 {
				return poolLabel{}, errZFS
			}
			label.pool = string(body[4 : 4+length])
		case name == "top_guid" && kind == number && len(body) >= 8:
			label.top = binary.BigEndian.Uint64(body)
		case name == "vdev_children" && kind == number && len(body) >= 8:
			label.children = binary.BigEndian.Uint64(body)
		}
		data = data[size:]
	}
	if label.pool == "" || !found["top_guid"] || !found["vdev_children"] {
		return poolLabel{}, errZFS
	}
	return label, nil
}

// zfsDataset is what the zfs command says about one dataset.
type zfsDataset struct{ encryption, keyStatus string }

// zfsDatasets asks the zfs command, once for all datasets.
func zfsDatasets(ctx context.Context, sys system.Reader) (map[string]zfsDataset, posture.Absence) {
	out, err := sys.Run(ctx, system.ZFSEncryption)
	switch {
	case notThere(err):
		return nil, posture.Unsupported
	case err != nil:
		return nil, system.Absence(err)
	case out.Exit != 0:
		return nil, posture.Unreadable
	}
	return parseZFS(string(out.Stdout)), posture.None
}

// parseZFS reads lines of a name, a property and a value.
func parseZFS(printed string) map[string]zfsDataset {
	sets := map[string]zfsDataset{}
	for line := range strings.Lines(printed) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) != 3 {
			continue
		}
		set := sets[fields[0]]
		switch fields[1] {
		case "encryption":
			set.encryption = fields[2]
		case "keystatus":
			set.keyStatus = fields[2]
		}
		sets[fields[0]] = set
	}
	return sets
}

// coverage returns how a dataset is encrypted by ZFS itself.
func (s zfsDataset) coverage() (coverage, bool) {
	switch {
	case s.encryption == "off":
		return coverage{}, false
	case strings.HasPrefix(s.encryption, "aes-") && plain(s.encryption):
		c := coverage{
			state: posture.Read(posture.Encrypted), methods: []string{"ZFS"},
			ciphers: []posture.Reading[string]{posture.Read(s.encryption)},
		}
		switch s.keyStatus {
		case "available":
			c.protection = posture.Read(posture.ProtectionOn)
		case "unavailable":
			c.protection = posture.Read(posture.ProtectionLocked)
		default:
			c.protection = posture.Unread[posture.ProtectionState](posture.Unreadable)
		}
		return c, true
	}
	return unread(posture.Unreadable), true
}

// poolCoverage returns how the disks under a pool are encrypted. The kernel
// does not show them: they are told by their labels, and all of the pool's
// parts must be among them.
func (s *survey) poolCoverage(ctx context.Context, pool string) coverage {
	var under []coverage
	tops := map[uint64]bool{}
	var children uint64
	for _, d := range s.unclaimed() {
		dev, err := s.image(ctx, d)
		if err != nil {
			return unread(headerAbsence(err))
		}
		label, err := zfsLabel(dev)
		switch {
		case errors.Is(err, errZFS):
			return unread(posture.Unreadable)
		case err != nil:
			return unread(headerAbsence(err))
		case label.pool == pool:
			tops[label.top] = true
			children = max(children, label.children)
			under = append(under, s.cover(ctx, d.name))
		}
	}
	if len(under) == 0 || uint64(len(tops)) < children {
		return unread(posture.NotVisible)
	}
	return combine(under)
}
