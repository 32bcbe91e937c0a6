package peer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// story is what one device says on a stream after TLS, HTTP/2, gRPC and
// protobuf are as they should be, and what it is answered.
type story struct {
	name string
	say  func(a *attacker) []*pb.AgentMessage
	// want is what comes back, in order, but for documents and checkpoints:
	// "welcome", "ack 1", "full gap", and at last how the stream ends. Of
	// acknowledgements one after the other the last is named: it holds for all.
	want    string
	reports int    // of this device in the ledger, at the end
	gaps    string // recorded of this device, such as "1-4 unknown"
}

// TestBrokenMeaning says what is well formed and not true.
func TestBrokenMeaning(t *testing.T) {
	w := newWorld(t)
	other := w.enrol(w.schools[0])
	after := func(messages func(a *attacker) []*pb.AgentMessage) func(*attacker) []*pb.AgentMessage {
		return func(a *attacker) []*pb.AgentMessage { return append([]*pb.AgentMessage{hello()}, messages(a)...) }
	}
	greeted := func(change func(*pb.Hello)) func(*attacker) []*pb.AgentMessage {
		return func(a *attacker) []*pb.AgentMessage { return []*pb.AgentMessage{hello(change), a.report()} }
	}
	// altered changes a report after it was signed, restated before.
	altered := func(change func(*pb.Report)) func(*attacker) []*pb.AgentMessage {
		return after(func(a *attacker) []*pb.AgentMessage {
			m := a.report()
			change(m.GetReport())
			return []*pb.AgentMessage{m}
		})
	}
	restated := func(change func(*proof.ReportStatement)) func(*attacker) []*pb.AgentMessage {
		return after(func(a *attacker) []*pb.AgentMessage { return []*pb.AgentMessage{a.report(change)} })
	}
	confirmed := func(change func(*proof.ContactStatement)) func(*attacker) []*pb.AgentMessage {
		return after(func(a *attacker) []*pb.AgentMessage { return []*pb.AgentMessage{a.report(), a.contact(change)} })
	}
	// blanked makes zeros of what follows the names in a contact's statement.
	blanked := func(from, n int) func(*attacker) []*pb.AgentMessage {
		return after(func(a *attacker) []*pb.AgentMessage {
			first, m := a.report(), a.contact()
			clear(behindNames(m.GetContact().GetStatement())[from : from+n])
			return []*pb.AgentMessage{first, m}
		})
	}
	numbered := func(n uint64) func(*proof.ReportStatement) {
		return func(s *proof.ReportStatement) {
			s.Sequence = n
			for i := range s.Sections {
				s.Sections[i].Carried = n
			}
		}
	}
	for _, c := range []story{
		{"a report", after(func(a *attacker) []*pb.AgentMessage { return []*pb.AgentMessage{a.report()} }), "welcome, ack 1, ok", 1, ""},
		{"a report again", after(func(a *attacker) []*pb.AgentMessage { m := a.report(); return []*pb.AgentMessage{m, m, m} }), "welcome, ack 1, ok", 1, ""},
		{"an older report again", after(func(a *attacker) []*pb.AgentMessage { m := a.report(); return []*pb.AgentMessage{m, a.report(), m} }), "welcome, ack 2, ok", 2, ""},
		{"a report from a gap", after(func(a *attacker) []*pb.AgentMessage {
			a.report()
			a.report()
			return []*pb.AgentMessage{a.report()}
		}), "welcome, ack 3, ok", 1, "1-2 unknown"},
		{"a report that fills a gap too late", after(func(a *attacker) []*pb.AgentMessage { late := a.report(); return []*pb.AgentMessage{a.report(), late} }), "welcome, ack 2, ok", 1, "1-1 unknown"},
		{"another report of the same number", after(func(a *attacker) []*pb.AgentMessage {
			m := a.report()
			return []*pb.AgentMessage{m, a.report(func(s *proof.ReportStatement) { numbered(1)(s); s.Uptime = 9; s.Previous = proof.Digest{} })}
		}), "welcome, ack 1, refused twice", 1, "1-1 conflict"},
		{"a report that follows another", after(func(a *attacker) []*pb.AgentMessage {
			m := a.report()
			a.previous = proof.Digest{7}
			return []*pb.AgentMessage{m, a.report()}
		}), "welcome, ack 2, ok", 2, "1-1 conflict"},
		{"from a restored collector's future", greeted(func(h *pb.Hello) { h.Acknowledged = 9 }), "welcome full, ack 1, ok", 1, ""},
		{"further from its future", func(a *attacker) []*pb.AgentMessage {
			a.sequence = 9
			return []*pb.AgentMessage{hello(func(h *pb.Hello) { h.Acknowledged = 9 }), a.report()}
		}, "welcome full, ack 10, ok", 1, "1-9 restored"},
		{"after a full spool", func(a *attacker) []*pb.AgentMessage {
			a.sequence = 9
			return []*pb.AgentMessage{hello(func(h *pb.Hello) { h.Dropped = 9 }), a.report()}
		}, "welcome, ack 10, ok", 1, "1-9 dropped"},
		{"carried from a report that never was", restated(func(s *proof.ReportStatement) { numbered(5)(s); s.Sections = append(s.Sections, carriedBefore(4)) }), "welcome, ack 5, full gap, ok", 1, "1-4 unknown"},
		{"carried from a report without it", after(func(a *attacker) []*pb.AgentMessage {
			return []*pb.AgentMessage{a.report(), a.report(func(s *proof.ReportStatement) { s.Sections = append(s.Sections, carriedBefore(1)) })}
		}), "welcome, ack 2, full unknown-section, ok", 2, ""},

		{"the last number there is", restated(numbered(math.MaxUint64)), "welcome, ack 18446744073709551615, ok", 1, "1-18446744073709551614 unknown"},
		{"a number after the last", after(func(a *attacker) []*pb.AgentMessage {
			return []*pb.AgentMessage{a.report(numbered(math.MaxUint64)), a.report(numbered(1)), a.report(numbered(math.MaxUint64))}
		}), "welcome, ack 18446744073709551615, refused twice", 1, "1-18446744073709551614 unknown, 18446744073709551615-18446744073709551615 conflict"},
		{"no number", altered(func(r *pb.Report) { clear(behindNames(r.Statement)[:8]) }), "welcome, refused malformed", 0, ""},

		{"signed by nobody", altered(func(r *pb.Report) { r.Signature = nil }), "welcome, refused signature", 0, ""},
		{"signed wrong", altered(func(r *pb.Report) { r.Signature[12] ^= 1 }), "welcome, refused signature", 0, ""},
		{"signed with more than a signature", altered(func(r *pb.Report) { r.Signature = append(r.Signature, 0) }), "welcome, refused signature", 0, ""},
		{"a signature of 10 MB", altered(func(r *pb.Report) { r.Signature = make([]byte, 10<<20) }), "welcome, refused signature", 0, ""},
		{"signed by another device", altered(func(r *pb.Report) { r.Signature = other.sign(proof.HashReport(r.Statement)) }), "welcome, refused signature", 0, ""},
		{"signed as a contact", altered(func(r *pb.Report) { r.Signature = other.sign(proof.HashContact(r.Statement)) }), "welcome, refused signature", 0, ""},
		{"of another device", restated(func(s *proof.ReportStatement) { s.Device = string(other.id) }), "welcome, refused malformed", 0, ""},
		{"of no device", altered(func(r *pb.Report) { r.Statement = nil }), "welcome, refused malformed", 0, ""},
		{"of another school", restated(func(s *proof.ReportStatement) { s.School = string(w.schools[1].ID) }), "welcome, refused malformed", 0, ""},
		{"a statement of 1 MB", altered(func(r *pb.Report) { r.Statement = make([]byte, 1<<20) }), "welcome, refused malformed", 0, ""},
		{"a statement with more behind it", altered(func(r *pb.Report) { r.Statement = append(r.Statement, 0) }), "welcome, refused malformed", 0, ""},
		{"made in the year 292 million", restated(func(s *proof.ReportStatement) { s.MadeAt, s.Uptime = math.MaxUint64, math.MaxUint64 }), "welcome, ack 1, ok", 1, ""},
		{"made in 1970", restated(func(s *proof.ReportStatement) { s.MadeAt, s.Uptime, s.Sections[0].ReadAt = 0, 0, 0 }), "welcome, ack 1, ok", 1, ""},
		{"witness of a ledger that is not", restated(func(s *proof.ReportStatement) {
			s.Witness = proof.Witness{Size: math.MaxInt64, Root: proof.Digest{1}}
		}), "welcome, ack 1, ok", 1, ""},
		{"judged by policies that are not", restated(func(s *proof.ReportStatement) { s.Policy, s.Assignment = math.MaxUint64, math.MaxUint64 }), "welcome, ack 1, ok", 1, ""},

		{"another body", altered(func(r *pb.Report) { r.Sections[0].Body = []byte("another") }), "welcome, refused malformed", 0, ""},
		{"another salt", altered(func(r *pb.Report) { r.Sections[0].Salt[0] ^= 1 }), "welcome, refused malformed", 0, ""},
		{"bodies in another order", altered(func(r *pb.Report) { slices.Reverse(r.Sections) }), "welcome, refused malformed", 0, ""},
		{"a body too many", altered(func(r *pb.Report) { r.Sections = append(r.Sections, r.Sections[0]) }), "welcome, refused malformed", 0, ""},
		{"a body too few", altered(func(r *pb.Report) { r.Sections = r.Sections[:1] }), "welcome, refused malformed", 0, ""},
		{"a body of 9 MB", after(func(a *attacker) []*pb.AgentMessage {
			s := proof.Section{Name: wire.System, Class: proof.Posture, Body: bytes.Repeat([]byte("x"), 9<<20)}
			m := a.report(func(st *proof.ReportStatement) { st.Sections = []proof.SectionRef{s.Ref(0, 1)} })
			m.GetReport().Sections = []*pb.Section{{Name: s.Name, Salt: s.Salt[:], Body: s.Body}}
			return []*pb.AgentMessage{m}
		}), "welcome, refused malformed", 0, ""},
		{"65 bodies", altered(func(r *pb.Report) {
			for range 65 {
				r.Sections = append(r.Sections, &pb.Section{Name: "x"})
			}
		}), "welcome, status 13", 0, ""},
		{"kept for ever", restated(func(s *proof.ReportStatement) { s.Sections[0].Class = proof.Kept }), "welcome, refused malformed", 0, ""},
		{"of a section that is the collector's", restated(func(s *proof.ReportStatement) {
			s.Sections[0].Name, s.Sections[0].Class = roster.SectionToken, proof.Kept
		}), "welcome, refused malformed", 0, ""},

		{"a contact", confirmed(func(*proof.ContactStatement) {}), "welcome, ack 1, ok", 1, ""},
		{"a contact for a report to come", confirmed(func(s *proof.ContactStatement) { s.Report = 7 }), "welcome, ack 1, full gap, ok", 1, ""},
		{"a contact for a report before", after(func(a *attacker) []*pb.AgentMessage {
			first, contact := a.report(), a.contact()
			return []*pb.AgentMessage{first, a.report(), contact}
		}), "welcome, ack 2, ok", 2, ""},
		{"a contact for another report", confirmed(func(s *proof.ContactStatement) { s.Hash[0] ^= 1 }), "welcome, ack 1, refused twice", 1, "1-1 conflict"},
		{"a contact of no number", blanked(40, 8), "welcome, ack 1, refused malformed", 1, ""},
		{"a contact of no report", blanked(0, 8), "welcome, ack 1, refused malformed", 1, ""},
		{"the last contact there is", confirmed(func(s *proof.ContactStatement) { s.Count = math.MaxUint64 }), "welcome, ack 1, ok", 1, ""},
		{"a contact of another device", confirmed(func(s *proof.ContactStatement) { s.Device = string(other.id) }), "welcome, ack 1, refused malformed", 1, ""},
		{"a contact of another school", confirmed(func(s *proof.ContactStatement) { s.School = string(w.schools[1].ID) }), "welcome, ack 1, refused malformed", 1, ""},
		{"a contact signed wrong", after(func(a *attacker) []*pb.AgentMessage {
			first, m := a.report(), a.contact()
			m.GetContact().Signature[9] ^= 1
			return []*pb.AgentMessage{first, m}
		}), "welcome, ack 1, refused signature", 1, ""},
		{"a contact signed as a report", after(func(a *attacker) []*pb.AgentMessage {
			first, m := a.report(), a.contact()
			m.GetContact().Signature = a.sign(proof.HashReport(m.GetContact().GetStatement()))
			return []*pb.AgentMessage{first, m}
		}), "welcome, ack 1, refused signature", 1, ""},

		{"hello twice", func(*attacker) []*pb.AgentMessage { return []*pb.AgentMessage{hello(), hello()} }, "welcome, refused malformed", 0, ""},
		{"hello late", func(a *attacker) []*pb.AgentMessage { return []*pb.AgentMessage{a.report(), hello()} }, "refused malformed", 0, ""},
		{"no hello", func(*attacker) []*pb.AgentMessage { return nil }, "refused malformed", 0, ""},
		{"hello in the first millisecond", greeted(func(h *pb.Hello) { h.ClockUnixMs = 0 }), "welcome, ack 1, ok", 1, ""},
		{"hello at the end of time", greeted(func(h *pb.Hello) { h.ClockUnixMs = math.MaxInt64 }), "welcome, ack 1, ok", 1, ""},
		{"hello before all time", greeted(func(h *pb.Hello) { h.ClockUnixMs = math.MinInt64 }), "welcome, ack 1, ok", 1, ""},
		{"hello of another version", greeted(func(h *pb.Hello) { h.WireVersion = math.MaxUint32 }), "welcome, ack 1, ok", 1, ""},
		{"hello with every number as large as can be", greeted(func(h *pb.Hello) {
			h.Policy, h.Assignment, h.Acknowledged, h.Spooled, h.Dropped = math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64
		}), "welcome full, ack 1, ok", 1, ""},
		{"hello from a version of 10 MB", greeted(func(h *pb.Hello) { h.AgentVersion = strings.Repeat("\u202e", 5<<20) }), "welcome, ack 1, ok", 1, ""},
		{"progress of nothing", after(func(a *attacker) []*pb.AgentMessage {
			return []*pb.AgentMessage{{Message: &pb.AgentMessage_Progress{Progress: &pb.Progress{Request: "x", Percent: math.MaxUint32}}}, a.report()}
		}), "welcome, ack 1, ok", 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.enrol(w.schools[0])
			var said [][]byte
			for _, m := range c.say(a) {
				said = append(said, message(encode(t, m)))
			}
			o := a.connect().once(connectMethod, said...)
			if got := strings.Join(append(answers(t, o), o.verdict()), ", "); got != c.want {
				t.Errorf("it was answered\n%s, want\n%s", got, c.want)
			}
			w.unharmed(t)
			if got := a.recorded(proof.KindReport); got != c.reports {
				t.Errorf("%d reports are recorded, want %d", got, c.reports)
			}
			if got := strings.Join(a.gaps(), ", "); got != c.gaps {
				t.Errorf("the gaps recorded are %q, want %q", got, c.gaps)
			}
			// Whatever it said, it is served when it comes again; but for one that is two.
			again := "ok"
			if strings.HasSuffix(c.want, "refused twice") {
				again = "refused twice"
			}
			if got := a.connect().once(connectMethod, message(encode(t, hello()))).verdict(); got != again {
				t.Errorf("when it came again it ended with %s", got)
			}
		})
	}
	w.settled(t)
}

// behindNames returns what follows the names of school and device in a
// statement.
func behindNames(statement []byte) []byte {
	school := 1 + int(statement[0])
	return statement[school+1+int(statement[school]):]
}

// carriedBefore names a section that an earlier report is said to have
// carried.
func carriedBefore(sequence uint64) proof.SectionRef {
	class, _ := wire.Class(wire.Programs)
	return proof.SectionRef{Name: wire.Programs, Class: class, Digest: proof.Digest{4}, Carried: sequence}
}

// answers puts what the collector said into words, but for documents,
// checkpoints and refusals.
func answers(t *testing.T, o outcome) []string {
	t.Helper()
	var all []string
	for _, m := range o.heard(t) {
		switch {
		case m.GetWelcome() != nil && m.GetWelcome().GetSendFull():
			all = append(all, "welcome full")
		case m.GetWelcome() != nil:
			all = append(all, "welcome")
		case m.GetAcknowledge() != nil:
			if n := len(all); n > 0 && strings.HasPrefix(all[n-1], "ack ") {
				all = all[:n-1]
			}
			all = append(all, fmt.Sprint("ack ", m.GetAcknowledge().GetSequence()))
		case m.GetSendFull() != nil:
			all = append(all, "full "+m.GetSendFull().GetReason())
		}
	}
	return all
}

// gaps returns the gaps that are recorded of a device.
func (a *attacker) gaps() []string {
	a.t.Helper()
	var all []string
	for rec, err := range a.place.ledger.Entries(a.t.Context(), 0, ledger.Index(a.place.ledger.Size())) {
		must(a.t, err)
		if rec.Envelope.Kind != proof.KindGap || rec.Envelope.Subject != string(a.id) {
			continue
		}
		body, err := a.place.ledger.Body(a.t.Context(), rec.Index, 0)
		must(a.t, err)
		g, err := roster.DecodeGap(body)
		must(a.t, err)
		all = append(all, fmt.Sprintf("%d-%d %s", g.From, g.To, g.Reason))
	}
	return all
}
