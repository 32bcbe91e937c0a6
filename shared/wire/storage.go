package wire

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

func roles() words[posture.VolumeRole] {
	return words[posture.VolumeRole]{posture.SystemVolume, posture.DataVolume, posture.SwapVolume, posture.BootVolume}
}

func encryptions() words[posture.EncryptionState] {
	return words[posture.EncryptionState]{posture.Unencrypted, posture.Partial, posture.Encrypting, posture.Decrypting, posture.Encrypted}
}

func protections() words[posture.ProtectionState] {
	return words[posture.ProtectionState]{
		posture.ProtectionOn, posture.ProtectionSuspended, posture.ProtectionClearKey, posture.ProtectionOff, posture.ProtectionLocked,
	}
}

func mediumKinds() words[posture.MediumKind] {
	return words[posture.MediumKind]{posture.DiskMedium, posture.CardMedium, posture.OpticalMedium, posture.PhoneMedium}
}

func actions() words[posture.MediumAction] {
	return words[posture.MediumAction]{posture.Attached, posture.Detached, posture.Present, posture.Gone}
}

func encodeVolumes(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Volumes, encodeVolume)
	return &pb.EncryptionSection{Origin: origin, Items: items}, f.Volumes.ReadAt, true, err
}

func decodeVolumes(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.EncryptionSection)
	into.Volumes, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeVolume)
	return err
}

func encodeVolume(v posture.Volume) (*pb.Volume, error) {
	role, err := roles().check("role of a volume", v.Role)
	return &pb.Volume{
		Id:         key(v.ID, maxWord),
		Role:       string(role),
		Mount:      Visible(v.Mount, maxName),
		Filesystem: encodeText(v.Filesystem, maxWord),
		Capacity:   encodeNumber(v.Capacity),
		Encryption: encryptions().encode(v.Encryption),
		Protection: protections().encode(v.Protection),
		Method:     encodeText(v.Method, maxWord),
		Cipher:     encodeText(v.Cipher, maxWord),

		Progress:    encodeNumber(v.Progress),
		UsedSpace:   encodeTruth(v.UsedSpace),
		Hardware:    encodeTruth(v.Hardware),
		Protectors:  encodeText(v.Protectors, maxName),
		RecoveryKey: encodeTruth(v.RecoveryKey),
	}, err
}

func decodeVolume(m *pb.Volume) (posture.Volume, error) {
	role, err := roles().check("role of a volume", posture.VolumeRole(m.GetRole()))
	return posture.Volume{
		ID:         key(m.GetId(), maxWord),
		Role:       role,
		Mount:      Visible(m.GetMount(), maxName),
		Filesystem: decodeText(m.GetFilesystem(), maxWord),
		Capacity:   decodeNumber(m.GetCapacity()),
		Encryption: encryptions().decode(m.GetEncryption()),
		Protection: protections().decode(m.GetProtection()),
		Method:     decodeText(m.GetMethod(), maxWord),
		Cipher:     decodeText(m.GetCipher(), maxWord),

		Progress:    decodeNumber(m.GetProgress()),
		UsedSpace:   decodeTruth(m.GetUsedSpace()),
		Hardware:    decodeTruth(m.GetHardware()),
		Protectors:  decodeText(m.GetProtectors(), maxName),
		RecoveryKey: decodeTruth(m.GetRecoveryKey()),
	}, err
}

func encodeMedia(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Media, encodeMedium)
	return &pb.MediaSection{Origin: origin, Items: items}, f.Media.ReadAt, true, err
}

func decodeMedia(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.MediaSection)
	into.Media, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeMedium)
	return err
}

func encodeMedium(v posture.Medium) (*pb.Medium, error) {
	kind, err := mediumKinds().check("kind of medium", v.Kind)
	if err != nil {
		return nil, err
	}
	if len(v.Partitions) > maxPartitions {
		return nil, fmt.Errorf("it has %d partitions, more than the %d allowed", len(v.Partitions), maxPartitions)
	}
	var partitions []*pb.Partition
	for _, p := range v.Partitions {
		if p.Number < 0 || p.Number > math.MaxInt32 {
			return nil, fmt.Errorf("%d is not the number of a partition", p.Number)
		}
		partitions = append(partitions, &pb.Partition{
			Number:     int32(p.Number),
			Filesystem: encodeText(p.Filesystem, maxWord),
			Encryption: encryptions().encode(p.Encryption),
			Method:     encodeText(p.Method, maxWord),
		})
	}
	return &pb.Medium{
		Serial:     encodeHash(v.Serial),
		Kind:       string(kind),
		Bus:        Visible(v.Bus, maxWord),
		VendorId:   Visible(v.VendorID, maxWord),
		ProductId:  Visible(v.ProductID, maxWord),
		Vendor:     Visible(v.Vendor, maxName),
		Product:    Visible(v.Product, maxName),
		Capacity:   encodeNumber(v.Capacity),
		Writable:   encodeTruth(v.Writable),
		Encryption: encryptions().encode(v.Encryption),
		Partitions: partitions,
	}, nil
}

func decodeMedium(m *pb.Medium) (posture.Medium, error) {
	kind, err := mediumKinds().check("kind of medium", posture.MediumKind(m.GetKind()))
	if err != nil {
		return posture.Medium{}, err
	}
	if n := len(m.GetPartitions()); n > maxPartitions {
		return posture.Medium{}, fmt.Errorf("it has %d partitions, more than the %d allowed", n, maxPartitions)
	}
	var partitions []posture.Partition
	for _, p := range m.GetPartitions() {
		if p.GetNumber() < 0 {
			return posture.Medium{}, fmt.Errorf("%d is not the number of a partition", p.GetNumber())
		}
		partitions = append(partitions, posture.Partition{
			Number:     int(p.GetNumber()),
			Filesystem: decodeText(p.GetFilesystem(), maxWord),
			Encryption: encryptions().decode(p.GetEncryption()),
			Method:     decodeText(p.GetMethod(), maxWord),
		})
	}
	return posture.Medium{
		Serial:     decodeHash(m.GetSerial()),
		Kind:       kind,
		Bus:        Visible(m.GetBus(), maxWord),
		VendorID:   Visible(m.GetVendorId(), maxWord),
		ProductID:  Visible(m.GetProductId(), maxWord),
		Vendor:     Visible(m.GetVendor(), maxName),
		Product:    Visible(m.GetProduct(), maxName),
		Capacity:   decodeNumber(m.GetCapacity()),
		Writable:   decodeTruth(m.GetWritable()),
		Encryption: encryptions().decode(m.GetEncryption()),
		Partitions: partitions,
	}, nil
}

func encodeMediumEvents(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	a := f.MediaEvents
	nothing := a.Absent == posture.NotAsked || a.Complete() && len(a.Items) == 0
	origin, items, err := encodeAnswer(b, a, encodeMediumEvent)
	return &pb.MediaEventsSection{Origin: origin, Items: items}, a.ReadAt, !nothing, err
}

func decodeMediumEvents(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.MediaEventsSection)
	into.MediaEvents, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeMediumEvent)
	return err
}

func encodeMediumEvent(e posture.MediumEvent) (*pb.MediumEvent, error) {
	kind, err := mediumKinds().check("kind of medium", e.Kind)
	if err != nil {
		return nil, err
	}
	action, err := actions().check("thing that happens to a medium", e.Action)
	return &pb.MediumEvent{
		Number:     e.Number,
		AtUnixNano: nanos(e.At),
		Action:     string(action),
		Serial:     encodeHash(e.Serial),
		Kind:       string(kind),
		Bus:        Visible(e.Bus, maxWord),
		VendorId:   Visible(e.VendorID, maxWord),
		ProductId:  Visible(e.ProductID, maxWord),
		Vendor:     Visible(e.Vendor, maxName),
		Product:    Visible(e.Product, maxName),
	}, err
}

func decodeMediumEvent(m *pb.MediumEvent) (posture.MediumEvent, error) {
	kind, err := mediumKinds().check("kind of medium", posture.MediumKind(m.GetKind()))
	if err != nil {
		return posture.MediumEvent{}, err
	}
	action, err := actions().check("thing that happens to a medium", posture.MediumAction(m.GetAction()))
	return posture.MediumEvent{
		Number:    m.GetNumber(),
		At:        instant(m.GetAtUnixNano()),
		Action:    action,
		Serial:    decodeHash(m.GetSerial()),
		Kind:      kind,
		Bus:       Visible(m.GetBus(), maxWord),
		VendorID:  Visible(m.GetVendorId(), maxWord),
		ProductID: Visible(m.GetProductId(), maxWord),
		Vendor:    Visible(m.GetVendor(), maxName),
		Product:   Visible(m.GetProduct(), maxName),
	}, err
}
