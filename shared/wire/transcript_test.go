package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// recordedMessages returns every message of the recorded exchanges, by file.
func recordedMessages(t *testing.T) map[string][]proto.Message {
	t.Helper()
	paths, err := filepath.Glob("testdata/transcripts/*/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("found %d recorded exchanges: %v", len(paths), err)
	}
	all := map[string][]proto.Message{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")
		for _, block := range blocks[1:] {
			head, digits, _ := strings.Cut(block, "\n")
			data, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
			if err != nil {
				t.Fatalf("%s: %s: %v", path, head, err)
			}
			m := blankFor(head, filepath.Base(path))
			if err := Unmarshal(data, m); err != nil {
				t.Errorf("%s: %s: %v", path, head, err)
			}
			again, err := Marshal(m)
			if err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s: %s is encoded as\n%x, %v, and was\n%x", path, head, again, err, data)
			}
			all[path] = append(all[path], m)
		}
	}
	return all
}

// blankFor returns a message of the type that a recorded one has.
func blankFor(head, file string) proto.Message {
	agent := strings.HasPrefix(head, "agent: ")
	switch {
	case file == "enrolment.txt" && agent:
		return new(pb.EnrollRequest)
	case file == "enrolment.txt":
		return new(pb.EnrollResponse)
	case file == "renewal.txt" && agent:
		return new(pb.RenewRequest)
	case file == "renewal.txt":
		return new(pb.RenewResponse)
	case agent:
		return new(pb.AgentMessage)
	}
	return new(pb.CollectorMessage)
}

// TestRecordedMessages reads every message that was recorded, writes it to the
// same bytes, and holds every kind of message to be among them.
func TestRecordedMessages(t *testing.T) {
	missing := map[protoreflect.FullName]bool{}
	for _, m := range []proto.Message{&pb.EnrollRequest{}, &pb.EnrollResponse{}, &pb.RenewRequest{}, &pb.RenewResponse{}} {
		missing[m.ProtoReflect().Descriptor().FullName()] = true
	}
	for _, m := range []proto.Message{&pb.AgentMessage{}, &pb.CollectorMessage{}} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			missing[fields.Get(i).FullName()] = true
		}
	}
	for _, messages := range recordedMessages(t) {
		for _, m := range messages {
			r := m.ProtoReflect()
			delete(missing, r.Descriptor().FullName())
			r.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
				delete(missing, f.FullName())
				return true
			})
		}
	}
	// Until the next version is recorded, TestReleaseMessages holds it to its bytes.
	delete(missing, (&pb.CollectorMessage{}).ProtoReflect().Descriptor().Fields().ByName("release_offered").FullName())
	for name := range missing {
		t.Errorf("no recorded exchange holds a %s: record a new version", name)
	}
}

// TestRecordedSections reads the bodies of every report that was recorded, and
// writes them to the same bytes.
func TestRecordedSections(t *testing.T) {
	seen := map[string]bool{}
	for path, messages := range recordedMessages(t) {
		for _, m := range messages {
			report, ok := m.(*pb.AgentMessage)
			if !ok {
				continue
			}
			var facts posture.Facts
			var findings []posture.Finding
			bodies := map[string][]byte{}
			for _, s := range report.GetReport().GetSections() {
				if err := DecodeSection(s.GetName(), s.GetBody(), readAt, &facts, &findings); err != nil {
					t.Errorf("%s: section %s: %v", path, s.GetName(), err)
				}
				bodies[s.GetName()], seen[s.GetName()] = s.GetBody(), true
			}
			for _, again := range encode(t, facts, findings) {
				if body, carried := bodies[again.Name]; carried {
					if diff := cmp.Diff(body, again.Data); diff != "" {
						t.Errorf("%s: section %s is encoded as another:\n%s", path, again.Name, diff)
					}
				}
			}
		}
	}
	for _, s := range sections() {
		if !seen[s.name] {
			t.Errorf("no recorded report carries the section %s: record a new version", s.name)
		}
	}
}
