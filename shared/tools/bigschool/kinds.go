package bigschool

import (
	"fmt"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// When devices were heard from, before the moment that the school is asked.
const (
	fresh   = time.Hour
	silence = 42 * 24 * time.Hour
)

// kind is what some of the school's devices are like: the sections of their
// reports but for their names. Judging one judges them all.
type kind struct {
	at     time.Time // of their reports
	silent bool
	facts  posture.Facts
	bodies []wire.Body
}

// as returns the sections of a device of that name.
func (k kind) as(hostname string) ([]wire.Body, error) {
	system := k.facts.System
	system.Items = slices.Clone(system.Items)
	system.Items[0].Hostname = hostname
	named, err := wire.EncodeFacts(posture.Facts{System: system}, nil)
	if err != nil {
		return nil, err
	}
	bodies := slices.Clone(k.bodies)
	for i := range bodies {
		if bodies[i].Name == wire.System {
			bodies[i].Data = named[slices.IndexFunc(named, func(b wire.Body) bool { return b.Name == wire.System })].Data
		}
	}
	return bodies, nil
}

// trouble is what is wrong with some of the devices: every nth of the kinds,
// beginning with one of them.
type trouble struct {
	every, from int
	does        func(*posture.Facts)
}

// troubles are those that schools have. None falls on the same kinds as all the
// others, so that no two kinds are alike and no list is of all devices or none.
func troubles() []trouble {
	no := posture.Read(false)
	security := func(f func(*posture.Security)) func(*posture.Facts) {
		return func(facts *posture.Facts) { f(&facts.Security.Items[0]) }
	}
	return []trouble{
		{10, 3, func(f *posture.Facts) { f.Volumes.Items = []posture.Volume{volume(posture.Unencrypted)} }},
		{20, 7, func(f *posture.Facts) {
			f.Volumes = posture.Answer[posture.Volume]{Absent: posture.Denied, Source: "sysfs"}
		}},
		{8, 1, func(f *posture.Facts) { f.Antivirus.Items[0].On, f.Antivirus.Items[0].RealTime = no, no }},
		{5, 2, func(f *posture.Facts) { f.Media.Items = []posture.Medium{stick(1), stick(2)} }},
		{4, 1, security(func(s *posture.Security) { s.Firewall = no })},
		{6, 5, security(func(s *posture.Security) { s.ScreenLock = no })},
		{7, 4, security(func(s *posture.Security) {
			s.DailyUserAdmin, s.Administrators = posture.Read(true), posture.Read[int64](3)
		})},
		{9, 2, security(func(s *posture.Security) { s.OSSupported = no })},
		{3, 0, func(f *posture.Facts) {
			for i := range 4 {
				f.Executables.Items = append(f.Executables.Items, executable(i))
			}
		}},
	}
}

// mostKinds is how many kinds there are: as many as no two troubles fall
// together on in the same order.
const mostKinds = 120

// kinds returns what the devices of the school are like.
func kinds(p *policy.Loaded, now time.Time) ([]kind, error) {
	list := make([]kind, mostKinds)
	for n := range list {
		k := &list[n]
		k.silent = n%25 == 24
		k.at = now.Add(-fresh)
		if k.silent {
			k.at = now.Add(-silence)
		}
		k.at = k.at.Truncate(time.Millisecond)
		k.facts = healthy(k.at)
		for _, t := range troubles() {
			if n%t.every == t.from {
				t.does(&k.facts)
			}
		}
		stamp(&k.facts, k.at)
		var err error
		if k.bodies, err = wire.EncodeFacts(k.facts, p.Evaluate(ownAssignment, k.facts, k.at)); err != nil {
			return nil, fmt.Errorf("describe the devices of a large school: %w", err)
		}
	}
	return list, nil
}

// stamp says when facts were read.
func stamp(f *posture.Facts, at time.Time) {
	for _, read := range []*time.Time{
		&f.System.ReadAt, &f.Volumes.ReadAt, &f.Antivirus.ReadAt, &f.Media.ReadAt, &f.Programs.ReadAt, &f.Executables.ReadAt, &f.Scripts.ReadAt, &f.Security.ReadAt,
	} {
		*read = at
	}
}

// healthy are the facts of a laptop that meets every rule of the baseline.
func healthy(at time.Time) posture.Facts {
	yes, no := posture.Read(true), posture.Read(false)
	f := posture.Facts{
		System: posture.Found("os-release", posture.System{
			Platform: posture.Linux, OS: posture.Read("debian"), OSName: posture.Read("Debian GNU/Linux 13 (trixie)"),
			OSVersion: posture.Read("13"), OSBuild: posture.Read("6.12"), Architecture: "amd64", Chassis: posture.Read(posture.Laptop),
			Manufacturer: posture.Read("Acme"), Model: posture.Read("Note 3"),
		}),
		Volumes: posture.Found("sysfs", volume(posture.Encrypted)),
		Antivirus: posture.Found("clamav", posture.Antivirus{
			Product: "clamav", Name: "ClamAV", Version: posture.Read("1.4"), On: yes, RealTime: yes, Expired: no,
			Updating: yes, Definitions: posture.Read("27000"), DefinitionsAt: posture.Read(at.Add(-time.Hour)),
		}),
		Media:       posture.Found[posture.Medium]("sysfs"),
		Programs:    posture.Found("dpkg", posture.Program{Source: "dpkg", Name: "bash", Version: "5.2", Architecture: "amd64"}),
		Executables: posture.Found[posture.Executable]("walk"),
		Scripts:     posture.Found[posture.Tally]("walk"),
		Security: posture.Found("system", posture.Security{
			OSSupported: yes, OSSupportEnds: posture.Read(at.Add(3 * 365 * 24 * time.Hour)), UpdatesPending: posture.Read[int64](0),
			UpdatesImportant: posture.Read[int64](0), ImportantSince: posture.Read(time.Time{}), UpdatesCheckedAt: posture.Read(at.Add(-time.Hour)),
			UpdatesAutomatic: yes, RebootDue: no, Firewall: yes, ScreenLock: yes, ScreenLockAfter: posture.Read[int64](300),
			PasswordSet: yes, AutoLogon: no, AutoRun: no, DailyUserAdmin: no, Administrators: posture.Read[int64](1),
			OpenDetections: posture.Read[int64](0), SecureBoot: yes, TPM: yes,
		}),
	}
	f.MediaEvents.Absent = posture.None
	return f
}

func volume(encryption posture.EncryptionState) posture.Volume {
	v := posture.Volume{
		ID: "aaaaaaaaaaaa", Role: posture.SystemVolume, Mount: "/", Filesystem: posture.Read("ext4"), Capacity: posture.Read[int64](1 << 38),
		Encryption: posture.Read(encryption), Protection: posture.Read(posture.ProtectionOn), Method: posture.Read("LUKS2"), Cipher: posture.Read("aes-xts-plain64"),
	}
	if encryption != posture.Encrypted {
		v.Protection, v.Method, v.Cipher = posture.Read(posture.ProtectionOff), posture.Read(""), posture.Read("")
	}
	return v
}

func stick(n int) posture.Medium {
	return posture.Medium{
		Serial: posture.Read(fmt.Sprintf("%064x", n)), Kind: posture.DiskMedium, Bus: "usb", Vendor: "Acme", Product: "Stick",
		Capacity: posture.Read[int64](1 << 33), Writable: posture.Read(true), Encryption: posture.Read(posture.Unencrypted),
	}
}

func executable(n int) posture.Executable {
	return posture.Executable{
		Location: posture.Downloads, Format: posture.ELF, SHA256: posture.Read(fmt.Sprintf("%064x", n)),
		Product: posture.Read(""), Version: posture.Read(""), Signature: posture.Read(posture.Unsigned), Signer: posture.Read(""),
	}
}
