package notify

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// thing is what a notice can tell once.
type thing struct {
	tag, rule string // the tag has the breach's number in it
	what      What
}

// story is a place and what is known to have happened there.
type story struct {
	*place
	*receiver
	stands map[string]view.Breach
	before string         // the record of what was told as it was when a notice came
	lost   map[string]int // crashes that lost the record that a notice was delivered
}

// show has the school be as the story says.
func (s *story) show() {
	var list []view.Breach
	for _, b := range s.stands {
		list = append(list, b)
	}
	s.school.set(list...)
}

// TestNothingIsToldTwiceOrLost draws any mixture of breaches that open, grow
// graver and end, of restarts, crashes, views that are made again, and
// receivers that fail in every way. What a receiver has confirmed, and the
// record holds, is in no notice of another identifier; and what stands in the
// end has been told.
func TestNothingIsToldTwiceOrLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &story{place: newPlace(t), receiver: newReceiver(t), stands: map[string]view.Breach{}, lost: map[string]int{}}
		defer s.Close()
		s.tell(s.receiver, access.Technician)
		s.before = filepath.Join(t.TempDir(), "before")
		good := func(w http.ResponseWriter, _ *http.Request) bool {
			copyFile(t, s.file(), s.before)
			return true
		}
		s.answers(good)
		numbers := map[string]int{}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			tag := fmt.Sprintf("HB-LT-%03d", rapid.IntRange(1, 4).Draw(rt, "laptop"))
			rule := rapid.SampledFrom([]string{"ENC-01", "CFG-02"}).Draw(rt, "rule")
			name := tag + rule
			switch rapid.SampledFrom([]string{"open", "open", "end", "graver", "restart", "crash", "rebuild", "fails", "works", "pass", "pass", "pass"}).Draw(rt, "step") {
			case "open":
				if _, there := s.stands[name]; !there {
					numbers[name]++
					b := failing(rule, fmt.Sprintf("%s#%d", tag, numbers[name]), posture.High)
					b.Device, b.Number = posture.DeviceID(tag), numbers[name]
					s.stands[name] = b
				}
			case "end":
				delete(s.stands, name)
			case "graver":
				if b, there := s.stands[name]; there {
					b.Severity = posture.Critical
					s.stands[name] = b
				}
			case "restart":
				s.restart()
			case "crash": // between a delivery and its record, if there was one
				s.crash(rt)
			case "rebuild":
				s.school.partly = true
				s.school.set(failing("ENC-01", halfMade, posture.Critical))
				s.turn()
				s.school.partly = false
				s.school.mark++
			case "fails":
				s.answers(failure(rt))
			case "works":
				s.answers(good)
			case "pass":
				s.show()
				s.pass(time.Duration(rapid.SampledFrom([]int{1, 7, 15, 70, 600, 5000}).Draw(rt, "minutes")) * time.Minute)
			}
			s.show()
		}
		s.answers(good)
		for range 5 {
			s.pass(30 * time.Minute)
			s.clock.Advance(23 * time.Hour)
		}
		s.pass(30 * time.Minute)
		s.check(rt)
	})
}

// crash puts the record back as it was when the last notice came, if nothing was
// put on its way since: what was written before a notice leaves is on the disk.
func (s *story) crash(rt *rapid.T) {
	if err := s.teller.Close(); err != nil {
		rt.Fatal(err)
	}
	last := s.took()
	if len(last) > 0 && len(s.teller.book.log) > 0 {
		newest := s.teller.book.log[len(s.teller.book.log)-1]
		pending := slices.ContainsFunc(s.teller.settings.Channels, func(c Channel) bool { return s.teller.book.of(c.ID).pending != nil })
		if newest.ID == last[len(last)-1].ID && !newest.Delivered.IsZero() && !pending {
			copyFile(s.t, s.before, s.file())
			s.lost[newest.ID]++
		}
	}
	s.open()
}

// failure draws a way in which a receiver fails. It may have read the notice.
func failure(rt *rapid.T) func(http.ResponseWriter, *http.Request) bool {
	status := rapid.SampledFrom([]int{0, 301, 404, 429, 500}).Draw(rt, "status")
	return func(w http.ResponseWriter, _ *http.Request) bool {
		if status == 0 {
			panic(http.ErrAbortHandler) // closes without an answer
		}
		w.WriteHeader(status)
		return false
	}
}

// check compares what was told with what stands.
func (s *story) check(rt *rapid.T) {
	seen := map[string]int{}
	times, recorded := map[thing]int{}, map[thing]int{}
	for _, n := range s.took() {
		// Sent again after a crash, under the same identifier, or given up later:
		// this one alone may be told twice.
		if seen[n.ID]++; seen[n.ID] > 1 {
			if seen[n.ID] > 1+s.lost[n.ID] {
				rt.Fatalf("notice %s came %d times, and %d crashes lost its record", n.ID, seen[n.ID], s.lost[n.ID])
			}
			continue
		}
		for _, c := range n.Parts[0].Causes {
			for _, tag := range c.Tags {
				times[thing{tag, c.Rule, c.What}]++
				if s.lost[n.ID] == 0 {
					recorded[thing{tag, c.Rule, c.What}]++
				}
			}
		}
	}
	for k, n := range recorded {
		if n > 1 || k.tag == halfMade {
			rt.Fatalf("%+v was told %d times: %v", k, n, lines(s.took()))
		}
	}
	for _, b := range s.stands {
		opened, escalated := times[thing{b.AssetTag, b.Rule, Opened}], times[thing{b.AssetTag, b.Rule, Escalated}]
		if opened+escalated == 0 {
			rt.Fatalf("%s of %s stands and was never told: %v", b.Rule, b.AssetTag, lines(s.took()))
		}
	}
}

// halfMade is on no laptop: only a view that is half made has it.
const halfMade = "HB-LT-999"
