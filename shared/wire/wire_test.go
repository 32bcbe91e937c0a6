package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

var readAt = time.Date(2026, 11, 20, 17, 30, 0, 0, time.UTC)

func TestEveryFieldTravels(t *testing.T) {
	filler := &filler{}
	var want posture.Facts
	filler.fill(t, reflect.ValueOf(&want).Elem())
	findings := make([]posture.Finding, 2)
	filler.fill(t, reflect.ValueOf(&findings).Elem())
	for i := range findings {
		findings[i].FactAt = time.Time{} // known from the section that decided it
	}

	got, gotFindings := decodeAll(t, encode(t, want, findings))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts after the wire (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(findings, gotFindings); diff != "" {
		t.Errorf("findings after the wire (-want +got):\n%s", diff)
	}
}

func TestNothingReadClaimsNothing(t *testing.T) {
	got, findings := decodeAll(t, encode(t, posture.Facts{}, nil))
	if diff := cmp.Diff(posture.Facts{}, got); diff != "" || len(findings) > 0 {
		t.Errorf("facts that nobody read became (-want +got):\n%s\n%v", diff, findings)
	}
	var facts posture.Facts
	if err := DecodeSection(Antivirus, nil, readAt, &facts, nil); err != nil || facts.Antivirus.Absent != posture.NotAsked {
		t.Errorf("an empty body: got %v, %v, want an answer that nobody asked for", facts.Antivirus.Absent, err)
	}
}

func TestBodyDoesNotHoldWhenItWasRead(t *testing.T) {
	f := posture.Facts{Antivirus: posture.Found("clamd", posture.Antivirus{Product: "clamav"})}
	first := encode(t, f, []posture.Finding{{Rule: "AV-01", FactAt: readAt}})
	f.Antivirus.ReadAt = readAt.Add(time.Hour)
	second := encode(t, f, []posture.Finding{{Rule: "AV-01", FactAt: readAt.Add(time.Hour)}})
	for i := range first {
		if !bytes.Equal(first[i].Data, second[i].Data) {
			t.Errorf("section %s changed with the time of reading alone", first[i].Name)
		}
	}
}

func TestUnknownWords(t *testing.T) {
	volume := &pb.Volume{Role: "system", Encryption: &pb.Text{Value: "quantum"}, Protection: &pb.Text{Absent: "moved"}, Method: &pb.Text{Value: "x", Absent: "none"}}
	facts := decodeOne(t, Encryption, &pb.EncryptionSection{Origin: &pb.Origin{Absent: "none"}, Items: []*pb.Volume{volume}})
	v := facts.Volumes.Items[0]
	for name, absent := range map[string]posture.Absence{"encryption": v.Encryption.Absent, "protection": v.Protection.Absent, "method": v.Method.Absent} {
		if absent != posture.Unreadable {
			t.Errorf("%s in a word this version does not know: got %s, want unreadable", name, absent)
		}
	}
	facts = decodeOne(t, Encryption, &pb.EncryptionSection{Origin: &pb.Origin{Absent: "asleep"}, Items: []*pb.Volume{volume}})
	if facts.Volumes.Absent != posture.Unreadable || len(facts.Volumes.Items) != 0 {
		t.Errorf("an answer absent for an unknown reason: got %v, want unreadable and no items", facts.Volumes)
	}
}

func TestBadBodiesLeaveAnUnreadableAnswer(t *testing.T) {
	many := &pb.SystemSection{Origin: &pb.Origin{Absent: "none"}, Items: []*pb.System{{Platform: "linux"}, {Platform: "linux"}}}
	for name, body := range map[string][]byte{
		"not a message":          {0xff, 0xff, 0xff},
		"unknown platform":       marshal(t, &pb.SystemSection{Origin: &pb.Origin{Absent: "none"}, Items: []*pb.System{{Platform: "plan9"}}}),
		"too many items":         marshal(t, many),
		"too long":               bytes.Repeat([]byte{0x0a, 0}, 40<<10),
		"not UTF-8":              protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte{0x12, 1, 0xff}),
		"ends inside a message":  marshal(t, many)[:9],
		"more gaps than allowed": marshal(t, &pb.SystemSection{Origin: &pb.Origin{Gaps: make([]*pb.Gap, 200)}}),
	} {
		facts := posture.Facts{System: posture.Found("earlier", posture.System{Hostname: "hb-lt-014"})}
		err := DecodeSection(System, body, readAt, &facts, nil)
		if err == nil || facts.System.Absent != posture.Unreadable || len(facts.System.Items) > 0 {
			t.Errorf("%s: got %v and %+v, want an error and an unreadable answer", name, err, facts.System)
		}
	}
	if err := DecodeSection("weather", nil, readAt, &posture.Facts{}, nil); !errors.Is(err, ErrUnknownSection) {
		t.Errorf("an unknown section: got %v, want ErrUnknownSection", err)
	}
}

func TestNewerPeersFieldsAreSurvived(t *testing.T) {
	body := marshal(t, &pb.SystemSection{Origin: &pb.Origin{Absent: "none"}, Items: []*pb.System{{Platform: "linux", Hostname: "hb-lt-014"}}})
	body = protowire.AppendString(protowire.AppendTag(body, 700, protowire.BytesType), "new")
	var facts posture.Facts
	if err := DecodeSection(System, body, readAt, &facts, nil); err != nil {
		t.Fatal(err)
	}
	if got := facts.System.Items[0].Hostname; got != "hb-lt-014" {
		t.Errorf("host name beside an unknown field: got %q", got)
	}
}

func TestWordsThatAttackAreShown(t *testing.T) {
	for in, want := range map[string]string{
		"ClamAV":                            "ClamAV",
		"safe\u202egpj.exe":                 `safe\u{202e}gpj.exe`,
		"a\x1b[31mred\r\nb\x00":             `a\u{1b}[31mred\u{d}\u{a}b\u{0}`,
		"café 東京 é":                         "café 東京 é",
		"bad\xff\xfeend":                    "bad\ufffd\ufffdend",
		"zero\u200bwidth\u2028\u2066\ue000": `zero\u{200b}width\u{2028}\u{2066}\u{e000}`,
		strings.Repeat("é", 100):            strings.Repeat("é", 30) + "…",
	} {
		got := Visible(in, 64)
		if got != want {
			t.Errorf("Visible(%q): got %q, want %q", in, got, want)
		}
		if again := Visible(got, 64); again != got {
			t.Errorf("Visible(%q) twice: got %q, then %q", in, got, again)
		}
	}
	a, b := key(strings.Repeat("k", 300)+"a", maxName), key(strings.Repeat("k", 300)+"b", maxName)
	if a == b || len(a) > maxName || key(a, maxName) != a {
		t.Errorf("long keys: got %q and %q, want two different ones that are stable", a, b)
	}
}

func TestWhatExceedsABoundIsAGap(t *testing.T) {
	var f posture.Facts
	f.Programs = posture.Found[posture.Program]("dpkg")
	for i := range 30_000 {
		f.Programs.Items = append(f.Programs.Items, posture.Program{Source: "dpkg", Name: fmt.Sprint("p", i), Version: strings.Repeat("1", i%300)})
	}
	f.System = posture.Found("os-release", posture.System{Platform: posture.Linux}, posture.System{Platform: posture.Linux})
	bodies := encode(t, f, nil)
	got, findings := decodeAll(t, bodies)
	if len(got.Programs.Items) > 20_000 || got.Programs.Complete() || got.Programs.Gaps[0].Source != leftOut {
		t.Errorf("too many programs: got %d with gaps %v, want at most 20,000 and a gap", len(got.Programs.Items), got.Programs.Gaps)
	}
	if len(got.System.Items) != 1 || got.System.Complete() {
		t.Errorf("two systems: got %+v, want one and a gap", got.System)
	}
	for i, again := range encode(t, got, findings) {
		if !bytes.Equal(again.Data, bodies[i].Data) {
			t.Errorf("encoding again changed section %s", again.Name)
		}
	}
	if _, err := EncodeFacts(posture.Facts{}, make([]posture.Finding, 60_001)); !errors.Is(err, errTooMany) {
		t.Errorf("too many findings: got %v, want an error", err)
	}
}

func TestAFullReportFitsOneMessage(t *testing.T) {
	sum := 64 << 10 // statement
	for _, s := range sections() {
		sum += s.most + 100
	}
	if sum > MaxMessage {
		t.Errorf("sections at their bounds have %d bytes, beyond %d", sum, MaxMessage)
	}
}

func TestEncodeDecodeEncodeIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(60, 300, 1200))
		f := posture.Facts{
			System: posture.Answer[posture.System]{Absent: posture.Absence(rapid.IntRange(0, 9).Draw(t, "absent")), Items: []posture.System{{
				Hostname: text.Draw(t, "hostname"), Platform: posture.Linux,
				OS: posture.Reading[string]{Value: text.Draw(t, "os"), Absent: posture.Absence(rapid.IntRange(0, 9).Draw(t, "why"))},
			}}},
			Programs: posture.Found(text.Draw(t, "source"), posture.Program{Name: text.Draw(t, "name")}),
			Security: posture.Found("x", posture.Security{OSSupportEnds: posture.Read(time.Unix(rapid.Int64().Draw(t, "ends"), 0)), Administrators: posture.Read(rapid.Int64().Draw(t, "n"))}),
		}
		findings := []posture.Finding{{Rule: text.Draw(t, "rule"), Message: text.Draw(t, "message"), Subject: posture.Subject{Key: text.Draw(t, "key")}}}
		first := encode(t, f, findings)
		got, gotFindings := decodeAll(t, first)
		if diff := cmp.Diff(first, encode(t, got, gotFindings)); diff != "" {
			t.Fatalf("encoding again changed the bodies:\n%s", diff)
		}
	})
}

func FuzzDecodeSection(f *testing.F) {
	fill := &filler{}
	var facts posture.Facts
	fill.fill(f, reflect.ValueOf(&facts).Elem())
	for i, b := range encode(f, facts, []posture.Finding{{Rule: "ENC-01"}}) {
		f.Add(uint8(i), b.Data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := sections()[int(which)%len(sections())].name
		var facts posture.Facts
		var findings []posture.Finding
		if DecodeSection(name, data, readAt, &facts, &findings) != nil {
			return
		}
		if e := &facts.MediaEvents; e.Absent == posture.NotAsked || e.Complete() && len(e.Items) == 0 {
			*e = posture.Answer[posture.MediumEvent]{} // a section that says nothing is left out
		}
		bodies := encode(t, facts, findings)
		again, againFindings := decodeAll(t, bodies)
		if diff := cmp.Diff(facts, again, cmpopts.EquateEmpty(), ignoreReadAt()); diff != "" && !gapsCut(facts) {
			t.Errorf("decoding again (-first +second):\n%s", diff)
		}
		if diff := cmp.Diff(bodies, encode(t, again, againFindings), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("encoding again changed the bodies:\n%s", diff)
		}
		for _, f := range findings {
			if !utf8.ValidString(f.Message) || len(f.Message) > maxText {
				t.Errorf("a message of %d bytes: %q", len(f.Message), f.Message)
			}
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(marshal(f, &pb.AgentMessage{Message: &pb.AgentMessage_Hello{Hello: &pb.Hello{WireVersion: 1, Boot: "b"}}}))
	f.Add(marshal(f, &pb.AgentMessage{Message: &pb.AgentMessage_Report{Report: &pb.Report{Statement: []byte("s"), Sections: []*pb.Section{{Name: "system"}}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m pb.AgentMessage
		if Unmarshal(data, &m) == nil && len(m.GetReport().GetSections()) > MaxSections {
			t.Errorf("got %d sections", len(m.GetReport().GetSections()))
		}
		_ = Unmarshal(data, &pb.CollectorMessage{})
		_ = Unmarshal(data, &pb.EnrollRequest{})
	})
}

func TestListsAreCountedBeforeTheyAreDecoded(t *testing.T) {
	bomb := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), bytes.Repeat([]byte{0x1a, 0}, 1<<20))
	if err := Unmarshal(bomb, &pb.AgentMessage{}); err == nil || !strings.Contains(err.Error(), "more than 64 sections") {
		t.Errorf("a million empty sections: got %v, want a refusal", err)
	}
}

// gapsCut reports whether a foreign answer had more gaps than we write.
func gapsCut(f posture.Facts) bool {
	return len(f.Executables.Gaps) > maxGaps || len(f.Scripts.Gaps) > maxGaps || len(f.System.Gaps) > maxGaps ||
		len(f.Volumes.Gaps) > maxGaps || len(f.Antivirus.Gaps) > maxGaps || len(f.Media.Gaps) > maxGaps ||
		len(f.MediaEvents.Gaps) > maxGaps || len(f.Programs.Gaps) > maxGaps || len(f.Security.Gaps) > maxGaps
}

func ignoreReadAt() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ReadAt" }, cmp.Ignore())
}

// failer is what tests, benchmarks and rapid have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func encode(t failer, f posture.Facts, findings []posture.Finding) []Body {
	t.Helper()
	bodies, err := EncodeFacts(f, findings)
	if err != nil {
		t.Fatal(err)
	}
	return bodies
}

func decodeAll(t failer, bodies []Body) (posture.Facts, []posture.Finding) {
	t.Helper()
	var facts posture.Facts
	var findings []posture.Finding
	for _, b := range bodies {
		if err := DecodeSection(b.Name, b.Data, b.ReadAt, &facts, &findings); err != nil {
			t.Fatal(err)
		}
	}
	return facts, findings
}

func decodeOne(t *testing.T, name string, m proto.Message) posture.Facts {
	t.Helper()
	var facts posture.Facts
	if err := DecodeSection(name, marshal(t, m), readAt, &facts, nil); err != nil {
		t.Fatal(err)
	}
	return facts
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
