package policy

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	p "github.com/caretaker-school/caretaker/shared/posture"
)

// vocabulary is every kind of fact that conditions can read, field by field.
// A field that is not here cannot be judged; a test compares it with posture.
type vocabulary struct {
	volume, antivirus, medium, partition, event, program, executable, tally *kind

	security, system, device, facts *kind

	contact, coverage, agent, escrow, register, licences, allocation, acceptableUse *kind
}

func newVocabulary() *vocabulary {
	v := &vocabulary{
		volume:     volumeKind(),
		antivirus:  antivirusKind(),
		partition:  partitionKind(),
		event:      eventKind(),
		program:    programKind(),
		executable: executableKind(),
		tally:      tallyKind(),
		security:   securityKind(),
		system:     systemKind(),
	}
	v.medium = mediumKind(v.partition)
	v.device = deviceKind(v.system)
	v.facts = factsKind(v)
	v.schoolKinds()
	return v
}

func volumeKind() *kind {
	return newKind("Volume",
		text("id", func(x *p.Volume) string { return x.ID }),
		text("role", func(x *p.Volume) p.VolumeRole { return x.Role },
			p.SystemVolume, p.DataVolume, p.SwapVolume, p.BootVolume),
		text("mount", func(x *p.Volume) string { return x.Mount }),
		textRead("filesystem", func(x *p.Volume) p.Reading[string] { return x.Filesystem }),
		numberRead("capacity", func(x *p.Volume) p.Reading[int64] { return x.Capacity }),
		textRead("encryption", func(x *p.Volume) p.Reading[p.EncryptionState] { return x.Encryption },
			p.Unencrypted, p.Partial, p.Encrypting, p.Decrypting, p.Encrypted),
		textRead("protection", func(x *p.Volume) p.Reading[p.ProtectionState] { return x.Protection },
			p.ProtectionOn, p.ProtectionSuspended, p.ProtectionClearKey, p.ProtectionOff, p.ProtectionLocked),
		textRead("method", func(x *p.Volume) p.Reading[string] { return x.Method }),
		textRead("cipher", func(x *p.Volume) p.Reading[string] { return x.Cipher }),
		numberRead("progress", func(x *p.Volume) p.Reading[int64] { return x.Progress }),
		flagRead("usedSpace", func(x *p.Volume) p.Reading[bool] { return x.UsedSpace }),
		flagRead("hardware", func(x *p.Volume) p.Reading[bool] { return x.Hardware }),
		textRead("protectors", func(x *p.Volume) p.Reading[string] { return x.Protectors }),
		flagRead("recoveryKey", func(x *p.Volume) p.Reading[bool] { return x.RecoveryKey }),
	)
}

func antivirusKind() *kind {
	return newKind("Antivirus",
		text("product", func(x *p.Antivirus) string { return x.Product }),
		text("name", func(x *p.Antivirus) string { return x.Name }),
		textRead("version", func(x *p.Antivirus) p.Reading[string] { return x.Version }),
		flagRead("on", func(x *p.Antivirus) p.Reading[bool] { return x.On }),
		flagRead("realTime", func(x *p.Antivirus) p.Reading[bool] { return x.RealTime }),
		flagRead("expired", func(x *p.Antivirus) p.Reading[bool] { return x.Expired }),
		flagRead("updating", func(x *p.Antivirus) p.Reading[bool] { return x.Updating }),
		textRead("definitions", func(x *p.Antivirus) p.Reading[string] { return x.Definitions }),
		pastRead("definitionsAt", readDefinitionsAt),
		&field{name: "undated", typ: types.BoolType, get: func(item any) ref.Val { return types.Bool(item.(*p.Antivirus).Undated) }},
		flagRead("current", func(x *p.Antivirus) p.Reading[bool] { return x.Current }),
		flagRead("passive", func(x *p.Antivirus) p.Reading[bool] { return x.Passive }),
	)
}

func mediumKind(partition *kind) *kind {
	return newKind("Medium",
		textRead("serial", func(x *p.Medium) p.Reading[string] { return x.Serial }),
		text("kind", func(x *p.Medium) p.MediumKind { return x.Kind },
			p.DiskMedium, p.CardMedium, p.OpticalMedium, p.PhoneMedium),
		text("bus", func(x *p.Medium) string { return x.Bus },
			"usb", "sd", "optical", "thunderbolt", "firewire", "other"),
		text("vendorId", func(x *p.Medium) string { return x.VendorID }),
		text("productId", func(x *p.Medium) string { return x.ProductID }),
		text("vendor", func(x *p.Medium) string { return x.Vendor }),
		text("product", func(x *p.Medium) string { return x.Product }),
		numberRead("capacity", func(x *p.Medium) p.Reading[int64] { return x.Capacity }),
		flagRead("writable", func(x *p.Medium) p.Reading[bool] { return x.Writable }),
		textRead("encryption", func(x *p.Medium) p.Reading[p.EncryptionState] { return x.Encryption },
			p.Unencrypted, p.Partial, p.Encrypting, p.Decrypting, p.Encrypted),
		objects("partitions", partition, mostPartitions, func(x *p.Medium) []p.Partition { return x.Partitions }),
	)
}

func partitionKind() *kind {
	return newKind("Partition",
		&field{name: "number", typ: types.IntType, get: func(item any) ref.Val { return types.Int(item.(*p.Partition).Number) }},
		textRead("filesystem", func(x *p.Partition) p.Reading[string] { return x.Filesystem }),
		textRead("encryption", func(x *p.Partition) p.Reading[p.EncryptionState] { return x.Encryption },
			p.Unencrypted, p.Partial, p.Encrypting, p.Decrypting, p.Encrypted),
		textRead("method", func(x *p.Partition) p.Reading[string] { return x.Method }),
	)
}

func eventKind() *kind {
	return newKind("MediumEvent",
		&field{name: "number", typ: types.IntType, get: func(item any) ref.Val { return types.Int(item.(*p.MediumEvent).Number) }},
		&field{name: "at", typ: types.TimestampType, get: func(item any) ref.Val { return instant(item.(*p.MediumEvent).At) }},
		text("action", func(x *p.MediumEvent) p.MediumAction { return x.Action }, p.Attached, p.Detached, p.Present, p.Gone),
		textRead("serial", func(x *p.MediumEvent) p.Reading[string] { return x.Serial }),
		text("kind", func(x *p.MediumEvent) p.MediumKind { return x.Kind },
			p.DiskMedium, p.CardMedium, p.OpticalMedium, p.PhoneMedium),
		text("bus", func(x *p.MediumEvent) string { return x.Bus },
			"usb", "sd", "optical", "thunderbolt", "firewire", "other"),
		text("vendorId", func(x *p.MediumEvent) string { return x.VendorID }),
		text("productId", func(x *p.MediumEvent) string { return x.ProductID }),
		text("vendor", func(x *p.MediumEvent) string { return x.Vendor }),
		text("product", func(x *p.MediumEvent) string { return x.Product }),
	)
}

func programKind() *kind {
	return newKind("Program",
		text("source", func(x *p.Program) string { return x.Source }),
		text("name", func(x *p.Program) string { return x.Name }),
		text("version", func(x *p.Program) string { return x.Version }),
		text("publisher", func(x *p.Program) string { return x.Publisher }),
		text("architecture", func(x *p.Program) string { return x.Architecture }),
		textRead("signer", func(x *p.Program) p.Reading[string] { return x.Signer }),
	)
}

func executableKind() *kind {
	return newKind("Executable",
		text("location", func(x *p.Executable) p.Location { return x.Location },
			p.Home, p.OnDesktop, p.Downloads, p.Documents, p.Temp, p.OnMedia),
		text("format", func(x *p.Executable) p.Format { return x.Format },
			p.ELF, p.PE, p.MachO, p.AppImage, p.Script, p.JAR),
		textRead("sha256", func(x *p.Executable) p.Reading[string] { return x.SHA256 }),
		textRead("product", func(x *p.Executable) p.Reading[string] { return x.Product }),
		textRead("version", func(x *p.Executable) p.Reading[string] { return x.Version }),
		textRead("signature", func(x *p.Executable) p.Reading[p.SignatureState] { return x.Signature },
			p.Unsigned, p.SignedUnproven, p.SignedValid, p.SignedInvalid),
		textRead("signer", func(x *p.Executable) p.Reading[string] { return x.Signer }),
	)
}

func tallyKind() *kind {
	return newKind("Tally",
		text("location", func(x *p.Tally) p.Location { return x.Location },
			p.Home, p.OnDesktop, p.Downloads, p.Documents, p.Temp, p.OnMedia),
		text("format", func(x *p.Tally) p.Format { return x.Format }, p.Script, p.JAR),
		&field{name: "count", typ: types.IntType, get: func(item any) ref.Val { return types.Int(item.(*p.Tally).Count) }},
	)
}

func securityKind() *kind {
	return newKind("Security",
		flagRead("osSupported", func(x *p.Security) p.Reading[bool] { return x.OSSupported }),
		timeRead("osSupportEnds", readOSSupportEnds),
		numberRead("updatesPending", func(x *p.Security) p.Reading[int64] { return x.UpdatesPending }),
		numberRead("updatesImportant", func(x *p.Security) p.Reading[int64] { return x.UpdatesImportant }),
		pastRead("importantSince", readImportantSince),
		pastRead("updatesCheckedAt", readUpdatesCheckedAt),
		flagRead("updatesAutomatic", func(x *p.Security) p.Reading[bool] { return x.UpdatesAutomatic }),
		flagRead("rebootDue", func(x *p.Security) p.Reading[bool] { return x.RebootDue }),
		flagRead("firewall", func(x *p.Security) p.Reading[bool] { return x.Firewall }),
		flagRead("screenLock", func(x *p.Security) p.Reading[bool] { return x.ScreenLock }),
		reading("screenLockAfter", types.DurationType, func(x *p.Security) p.Reading[int64] { return x.ScreenLockAfter }, seconds),
		flagRead("passwordSet", func(x *p.Security) p.Reading[bool] { return x.PasswordSet }),
		flagRead("autoLogon", func(x *p.Security) p.Reading[bool] { return x.AutoLogon }),
		flagRead("autoRun", func(x *p.Security) p.Reading[bool] { return x.AutoRun }),
		flagRead("dailyUserAdmin", func(x *p.Security) p.Reading[bool] { return x.DailyUserAdmin }),
		numberRead("administrators", func(x *p.Security) p.Reading[int64] { return x.Administrators }),
		numberRead("openDetections", func(x *p.Security) p.Reading[int64] { return x.OpenDetections }),
		flagRead("secureBoot", func(x *p.Security) p.Reading[bool] { return x.SecureBoot }),
		flagRead("tpm", func(x *p.Security) p.Reading[bool] { return x.TPM }),
		pastRead("updatesInstalledAt", readUpdatesInstalledAt),
		flagRead("passwordOnWake", func(x *p.Security) p.Reading[bool] { return x.PasswordOnWake }),
		flagRead("passwordRequired", func(x *p.Security) p.Reading[bool] { return x.PasswordRequired }),
		flagRead("systemIntegrity", func(x *p.Security) p.Reading[bool] { return x.SystemIntegrity }),
		flagRead("programsAssessed", func(x *p.Security) p.Reading[bool] { return x.ProgramsAssessed }),
	)
}

func systemKind() *kind {
	return newKind("System",
		text("hostname", func(x *p.System) string { return x.Hostname }),
		text("platform", func(x *p.System) p.Platform { return x.Platform }, p.Windows, p.MacOS, p.Linux),
		textRead("os", func(x *p.System) p.Reading[string] { return x.OS }),
		textRead("osName", func(x *p.System) p.Reading[string] { return x.OSName }),
		textRead("osVersion", func(x *p.System) p.Reading[string] { return x.OSVersion }),
		textRead("osBuild", func(x *p.System) p.Reading[string] { return x.OSBuild }),
		text("architecture", func(x *p.System) string { return x.Architecture }),
		textRead("chassis", func(x *p.System) p.Reading[p.Chassis] { return x.Chassis },
			p.Laptop, p.Desktop, p.Server, p.Virtual),
		textRead("manufacturer", func(x *p.System) p.Reading[string] { return x.Manufacturer }),
		textRead("model", func(x *p.System) p.Reading[string] { return x.Model }),
		textRead("systemUUID", func(x *p.System) p.Reading[string] { return x.SystemUUID }),
		textRead("systemSerial", func(x *p.System) p.Reading[string] { return x.SystemSerial }),
		textRead("boardSerial", func(x *p.System) p.Reading[string] { return x.BoardSerial }),
		textRead("chassisSerial", func(x *p.System) p.Reading[string] { return x.ChassisSerial }),
		textRead("agentProgram", func(x *p.System) p.Reading[string] { return x.AgentProgram }),
		timeRead("agentChangedAt", func(x *p.System) p.Reading[time.Time] { return x.AgentChangedAt }),
		timeRead("agentStoppedFrom", func(x *p.System) p.Reading[time.Time] { return x.AgentStoppedFrom }),
		timeRead("agentStoppedUntil", func(x *p.System) p.Reading[time.Time] { return x.AgentStoppedUntil }),
		timeRead("agentStateLostAt", func(x *p.System) p.Reading[time.Time] { return x.AgentStateLostAt }),
		textRead("agentKey", func(x *p.System) p.Reading[p.KeyPlace] { return x.AgentKey }, p.InTPM, p.InFile),
	)
}
