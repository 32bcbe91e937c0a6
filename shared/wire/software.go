package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

func locations() words[posture.Location] {
	return words[posture.Location]{posture.Home, posture.OnDesktop, posture.Downloads, posture.Documents, posture.Temp, posture.OnMedia}
}

func formats() words[posture.Format] {
	return words[posture.Format]{posture.ELF, posture.PE, posture.MachO, posture.AppImage, posture.Script, posture.JAR}
}

func signatures() words[posture.SignatureState] {
	return words[posture.SignatureState]{posture.Unsigned, posture.SignedUnproven, posture.SignedValid, posture.SignedInvalid}
}

func encodeAntiviruses(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Antivirus, encodeAntivirus)
	return &pb.AntivirusSection{Origin: origin, Items: items}, f.Antivirus.ReadAt, true, err
}

func decodeAntiviruses(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.AntivirusSection)
	into.Antivirus, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeAntivirus)
	return err
}

func encodeAntivirus(a posture.Antivirus) (*pb.Antivirus, error) {
	return &pb.Antivirus{
		Product:       key(a.Product, maxWord),
		Name:          Visible(a.Name, maxName),
		Version:       encodeText(a.Version, maxName),
		On:            encodeTruth(a.On),
		RealTime:      encodeTruth(a.RealTime),
		Expired:       encodeTruth(a.Expired),
		Updating:      encodeTruth(a.Updating),
		Definitions:   encodeText(a.Definitions, maxName),
		DefinitionsAt: encodeInstant(a.DefinitionsAt),
		Undated:       a.Undated,
		Current:       encodeTruth(a.Current),
		Passive:       encodeTruth(a.Passive),
	}, nil
}

func decodeAntivirus(m *pb.Antivirus) (posture.Antivirus, error) {
	return posture.Antivirus{
		Product:       key(m.GetProduct(), maxWord),
		Name:          Visible(m.GetName(), maxName),
		Version:       decodeText(m.GetVersion(), maxName),
		On:            decodeTruth(m.GetOn()),
		RealTime:      decodeTruth(m.GetRealTime()),
		Expired:       decodeTruth(m.GetExpired()),
		Updating:      decodeTruth(m.GetUpdating()),
		Definitions:   decodeText(m.GetDefinitions(), maxName),
		DefinitionsAt: decodeInstant(m.GetDefinitionsAt()),
		Undated:       m.GetUndated(),
		Current:       decodeTruth(m.GetCurrent()),
		Passive:       decodeTruth(m.GetPassive()),
	}, nil
}

func encodePrograms(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Programs, encodeProgram)
	return &pb.ProgramsSection{Origin: origin, Items: items}, f.Programs.ReadAt, true, err
}

func decodePrograms(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.ProgramsSection)
	into.Programs, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeProgram)
	return err
}

func encodeProgram(p posture.Program) (*pb.Program, error) {
	return &pb.Program{
		Source:       Visible(p.Source, maxWord),
		Name:         key(p.Name, maxName),
		Version:      Visible(p.Version, maxName),
		Publisher:    Visible(p.Publisher, maxName),
		Architecture: Visible(p.Architecture, maxWord),
		Signer:       encodeText(p.Signer, maxName),
	}, nil
}

func decodeProgram(m *pb.Program) (posture.Program, error) {
	return posture.Program{
		Source:       Visible(m.GetSource(), maxWord),
		Name:         key(m.GetName(), maxName),
		Version:      Visible(m.GetVersion(), maxName),
		Publisher:    Visible(m.GetPublisher(), maxName),
		Architecture: Visible(m.GetArchitecture(), maxWord),
		Signer:       decodeText(m.GetSigner(), maxName),
	}, nil
}

// encodeExecutables writes two answers into one section: when the facts were
// read is the older of their times.
func encodeExecutables(b *budget, f posture.Facts, _ []posture.Finding) (proto.Message, time.Time, bool, error) {
	origin, items, err := encodeAnswer(b, f.Executables, encodeExecutable)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	counted := &budget{items: maxTallies, bytes: reserve / 4}
	scriptsOrigin, scripts, err := encodeAnswer(counted, f.Scripts, encodeTally)
	readAt := f.Executables.ReadAt
	if f.Scripts.Absent != posture.NotAsked && f.Scripts.ReadAt.Before(readAt) {
		readAt = f.Scripts.ReadAt
	}
	return &pb.ExecutablesSection{Origin: origin, Items: items, ScriptsOrigin: scriptsOrigin, Scripts: scripts}, readAt, true, err
}

func decodeExecutables(m proto.Message, readAt time.Time, into *posture.Facts, _ *[]posture.Finding) (err error) {
	s := m.(*pb.ExecutablesSection)
	if into.Executables, err = decodeAnswer(s.GetOrigin(), s.GetItems(), readAt, decodeExecutable); err != nil {
		return err
	}
	into.Scripts, err = decodeAnswer(s.GetScriptsOrigin(), s.GetScripts(), readAt, decodeTally)
	return err
}

func encodeExecutable(e posture.Executable) (*pb.Executable, error) {
	location, err := locations().check("class of place", e.Location)
	if err != nil {
		return nil, err
	}
	format, err := formats().check("format of executables", e.Format)
	return &pb.Executable{
		Location:  string(location),
		Format:    string(format),
		Sha256:    encodeHash(e.SHA256),
		Product:   encodeText(e.Product, maxName),
		Version:   encodeText(e.Version, maxName),
		Signature: signatures().encode(e.Signature),
		Signer:    encodeText(e.Signer, maxName),
	}, err
}

func decodeExecutable(m *pb.Executable) (posture.Executable, error) {
	location, err := locations().check("class of place", posture.Location(m.GetLocation()))
	if err != nil {
		return posture.Executable{}, err
	}
	format, err := formats().check("format of executables", posture.Format(m.GetFormat()))
	return posture.Executable{
		Location:  location,
		Format:    format,
		SHA256:    decodeHash(m.GetSha256()),
		Product:   decodeText(m.GetProduct(), maxName),
		Version:   decodeText(m.GetVersion(), maxName),
		Signature: signatures().decode(m.GetSignature()),
		Signer:    decodeText(m.GetSigner(), maxName),
	}, err
}

func encodeTally(t posture.Tally) (*pb.Tally, error) {
	location, err := locations().check("class of place", t.Location)
	if err != nil {
		return nil, err
	}
	if t.Count < 0 {
		return nil, fmt.Errorf("%d is not a count", t.Count)
	}
	format, err := formats().check("format of executables", t.Format)
	return &pb.Tally{Location: string(location), Format: string(format), Count: int64(t.Count)}, err
}

func decodeTally(m *pb.Tally) (posture.Tally, error) {
	location, err := locations().check("class of place", posture.Location(m.GetLocation()))
	if err != nil {
		return posture.Tally{}, err
	}
	if m.GetCount() < 0 {
		return posture.Tally{}, fmt.Errorf("%d is not a count", m.GetCount())
	}
	format, err := formats().check("format of executables", posture.Format(m.GetFormat()))
	return posture.Tally{Location: location, Format: format, Count: int(m.GetCount())}, err
}
