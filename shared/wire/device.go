package wire

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

func platforms() words[posture.Platform] {
	return words[posture.Platform]{posture.Windows, posture.MacOS, posture.Linux}
}

func chassis() words[posture.Chassis] {
	return words[posture.Chassis]{posture.Laptop, posture.Desktop, posture.Server, posture.Virtual}
}

func keyPlaces() words[posture.KeyPlace] {
	return words[posture.KeyPlace]{posture.InTPM, posture.InFile}
}

func encodeSystems(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.System, encodeSystem)
	return &pb.SystemSection{Origin: origin, Items: items}, f.System.ReadAt, true, err
}

func decodeSystems(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.SystemSection)
	into.System, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeSystem)
	return err
}

func encodeSystem(s posture.System) (*pb.System, error) {
	platform, err := platforms().check("platform", s.Platform)
	return &pb.System{
		Hostname:     Visible(s.Hostname, maxName),
		Platform:     string(platform),
		Os:           encodeText(s.OS, maxWord),
		OsName:       encodeText(s.OSName, maxName),
		OsVersion:    encodeText(s.OSVersion, maxName),
		OsBuild:      encodeText(s.OSBuild, maxName),
		Architecture: Visible(s.Architecture, maxWord),
		Chassis:      chassis().encode(s.Chassis),
		Manufacturer: encodeText(s.Manufacturer, maxName),
		Model:        encodeText(s.Model, maxName),

		SystemUuid:    encodeText(s.SystemUUID, maxWord),
		SystemSerial:  encodeText(s.SystemSerial, maxWord),
		BoardSerial:   encodeText(s.BoardSerial, maxWord),
		ChassisSerial: encodeText(s.ChassisSerial, maxWord),

		AgentProgram:      encodeHash(s.AgentProgram),
		AgentChangedAt:    encodeInstant(s.AgentChangedAt),
		AgentStoppedFrom:  encodeInstant(s.AgentStoppedFrom),
		AgentStoppedUntil: encodeInstant(s.AgentStoppedUntil),
		AgentStateLostAt:  encodeInstant(s.AgentStateLostAt),
		AgentKey:          keyPlaces().encode(s.AgentKey),
	}, err
}

func decodeSystem(m *pb.System) (posture.System, error) {
	platform, err := platforms().check("platform", posture.Platform(m.GetPlatform()))
	return posture.System{
		Hostname:     Visible(m.GetHostname(), maxName),
		Platform:     platform,
		OS:           decodeText(m.GetOs(), maxWord),
		OSName:       decodeText(m.GetOsName(), maxName),
		OSVersion:    decodeText(m.GetOsVersion(), maxName),
		OSBuild:      decodeText(m.GetOsBuild(), maxName),
		Architecture: Visible(m.GetArchitecture(), maxWord),
		Chassis:      chassis().decode(m.GetChassis()),
		Manufacturer: decodeText(m.GetManufacturer(), maxName),
		Model:        decodeText(m.GetModel(), maxName),

		SystemUUID:    decodeText(m.GetSystemUuid(), maxWord),
		SystemSerial:  decodeText(m.GetSystemSerial(), maxWord),
		BoardSerial:   decodeText(m.GetBoardSerial(), maxWord),
		ChassisSerial: decodeText(m.GetChassisSerial(), maxWord),

		AgentProgram:      decodeHash(m.GetAgentProgram()),
		AgentChangedAt:    decodeInstant(m.GetAgentChangedAt()),
		AgentStoppedFrom:  decodeInstant(m.GetAgentStoppedFrom()),
		AgentStoppedUntil: decodeInstant(m.GetAgentStoppedUntil()),
		AgentStateLostAt:  decodeInstant(m.GetAgentStateLostAt()),
		AgentKey:          keyPlaces().decode(m.GetAgentKey()),
	}, err
}

func encodeSecurities(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Security, encodeSecurity)
	return &pb.SecuritySection{Origin: origin, Items: items}, f.Security.ReadAt, true, err
}

func decodeSecurities(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.SecuritySection)
	into.Security, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeSecurity)
	return err
}

func encodeSecurity(s posture.Security) (*pb.Security, error) {
	return &pb.Security{
		OsSupported:      encodeTruth(s.OSSupported),
		OsSupportEnds:    encodeInstant(s.OSSupportEnds),
		UpdatesPending:   encodeNumber(s.UpdatesPending),
		UpdatesImportant: encodeNumber(s.UpdatesImportant),
		ImportantSince:   encodeInstant(s.ImportantSince),
		UpdatesCheckedAt: encodeInstant(s.UpdatesCheckedAt),
		UpdatesAutomatic: encodeTruth(s.UpdatesAutomatic),
		RebootDue:        encodeTruth(s.RebootDue),
		Firewall:         encodeTruth(s.Firewall),
		ScreenLock:       encodeTruth(s.ScreenLock),
		ScreenLockAfter:  encodeNumber(s.ScreenLockAfter),
		PasswordSet:      encodeTruth(s.PasswordSet),
		AutoLogon:        encodeTruth(s.AutoLogon),
		AutoRun:          encodeTruth(s.AutoRun),
		DailyUserAdmin:   encodeTruth(s.DailyUserAdmin),
		Administrators:   encodeNumber(s.Administrators),
		OpenDetections:   encodeNumber(s.OpenDetections),
		SecureBoot:       encodeTruth(s.SecureBoot),
		Tpm:              encodeTruth(s.TPM),

		UpdatesInstalledAt: encodeInstant(s.UpdatesInstalledAt),
		PasswordOnWake:     encodeTruth(s.PasswordOnWake),
		PasswordRequired:   encodeTruth(s.PasswordRequired),
		SystemIntegrity:    encodeTruth(s.SystemIntegrity),
		ProgramsAssessed:   encodeTruth(s.ProgramsAssessed),
	}, nil
}

func decodeSecurity(m *pb.Security) (posture.Security, error) {
	return posture.Security{
		OSSupported:      decodeTruth(m.GetOsSupported()),
		OSSupportEnds:    decodeInstant(m.GetOsSupportEnds()),
		UpdatesPending:   decodeNumber(m.GetUpdatesPending()),
		UpdatesImportant: decodeNumber(m.GetUpdatesImportant()),
		ImportantSince:   decodeInstant(m.GetImportantSince()),
		UpdatesCheckedAt: decodeInstant(m.GetUpdatesCheckedAt()),
		UpdatesAutomatic: decodeTruth(m.GetUpdatesAutomatic()),
		RebootDue:        decodeTruth(m.GetRebootDue()),
		Firewall:         decodeTruth(m.GetFirewall()),
		ScreenLock:       decodeTruth(m.GetScreenLock()),
		ScreenLockAfter:  decodeNumber(m.GetScreenLockAfter()),
		PasswordSet:      decodeTruth(m.GetPasswordSet()),
		AutoLogon:        decodeTruth(m.GetAutoLogon()),
		AutoRun:          decodeTruth(m.GetAutoRun()),
		DailyUserAdmin:   decodeTruth(m.GetDailyUserAdmin()),
		Administrators:   decodeNumber(m.GetAdministrators()),
		OpenDetections:   decodeNumber(m.GetOpenDetections()),
		SecureBoot:       decodeTruth(m.GetSecureBoot()),
		TPM:              decodeTruth(m.GetTpm()),

		UpdatesInstalledAt: decodeInstant(m.GetUpdatesInstalledAt()),
		PasswordOnWake:     decodeTruth(m.GetPasswordOnWake()),
		PasswordRequired:   decodeTruth(m.GetPasswordRequired()),
		SystemIntegrity:    decodeTruth(m.GetSystemIntegrity()),
		ProgramsAssessed:   decodeTruth(m.GetProgramsAssessed()),
	}, nil
}
