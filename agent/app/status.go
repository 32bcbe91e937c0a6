package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/assess"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
	"github.com/caretaker-school/caretaker/shared/wire"
)

// Status is what the agent says of itself to whoever sits at the laptop. Its
// JSON form is described in shared/docs/json.md.
type Status struct {
	Version      string    `json:"version"`
	Enrolled     bool      `json:"enrolled"`
	Waits        bool      `json:"waits,omitempty"`    // not enrolled, and the service tries until the school answers
	Approval     *Approval `json:"approval,omitempty"` // not enrolled, and somebody at the school has to approve it
	School       string    `json:"school,omitempty"`
	SchoolName   string    `json:"schoolName,omitempty"`
	Device       string    `json:"device,omitempty"`
	Collector    []string  `json:"collector,omitempty"`  // addresses
	Key          string    `json:"key,omitempty"`        // where its key is kept: "tpm" or "file"
	ReportPage   string    `json:"reportPage,omitempty"` // where a loss is reported without signing in
	Running      bool      `json:"running"`
	Connected    bool      `json:"connected"`
	AssessedAt   time.Time `json:"assessedAt"`   // zero if never
	ReportedAt   time.Time `json:"reportedAt"`   // when the collector last acknowledged something; zero if never
	Acknowledged uint64    `json:"acknowledged"` // sequence of the last report that it acknowledged
	Waiting      int       `json:"waiting"`      // statements in the spool
	Dropped      uint64    `json:"dropped"`      // statements that a full spool dropped, ever
	Policy       uint64    `json:"policy"`       // number of the policy in force; 0 is the built-in baseline
	Trouble      string    `json:"trouble,omitempty"`
	Runs         string    `json:"runs,omitempty"`   // version of the service that runs, if it is another than this program
	Update       string    `json:"update,omitempty"` // why a new version is not taken
	// Way is by which way the collector was last reached: straight, or through
	// which proxy.
	Way string `json:"way,omitempty"`
	// Obstacles says what stood in the ways that were tried last, as words that
	// programs can tell apart; Trouble says the same to people.
	Obstacles []string `json:"obstacles,omitempty"`
	// ClockOff says how far this laptop's clock is from the collector's, as
	// far as is known; empty if by a few minutes at most.
	ClockOff string    `json:"clockOff,omitempty"`
	Checks   []Checked `json:"checks"`
	// Self is what the last assessment found, in words for whoever sits here;
	// nil if there was none.
	Self *assess.SelfView `json:"self,omitempty"`
}

// Checked is one thing that is checked, in words for whoever uses the laptop.
type Checked struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// checks lists what the agent looks at and why, in plain words. A test holds
// it against the sections that are sent.
func checks() map[string]Checked {
	return map[string]Checked{
		"system":      {"The laptop's name, model and operating system", "so that the technician knows which laptop it is and which rules apply to it"},
		"encryption":  {"Whether its disks are encrypted", "so that nobody can read them if the laptop is lost"},
		"antivirus":   {"Whether antivirus is on and up to date", "because the school's policy asks for it"},
		"media":       {"Which USB sticks and other media are attached, and whether they are encrypted; their serial numbers only as a code", "because children's records must not leave on a stick that anyone can read"},
		"programs":    {"Which programs are installed", "to find those that the school does not allow, and to count licences"},
		"executables": {"Whether program files lie in people's folders, by kind of folder and fingerprint; never a file's name or place, and no documents", "because programs that were not installed are not kept up to date"},
		"security":    {"Updates, firewall, screen lock, sign-in settings", "because they keep others out"},
	}
}

// neverCollected says what is never looked at.
const neverCollected = "Never collected: names or contents of your files, what you browse, type, print or write, where you are, when you work, passwords, recovery keys."

// PrintStatus writes a status for people.
func PrintStatus(w io.Writer, s Status) {
	fmt.Fprintf(w, "Caretaker %s\n\n", s.Version)
	switch {
	case s.Approval != nil:
		PrintApproval(w, *s.Approval)
	case s.Waits:
		fmt.Fprintf(w, "This laptop is not enrolled yet: its service tries until the school answers.\n")
		if s.Trouble != "" {
			fmt.Fprintf(w, "Trouble:          %s\n", s.Trouble)
		}
	case !s.Enrolled:
		fmt.Fprintf(w, "This laptop is not enrolled: it reports to nobody.\n")
	default:
		fmt.Fprintf(w, "Reports to:       %s, at %s\n", s.SchoolName, join(s.Collector))
		fmt.Fprintf(w, "As device:        %s\n", s.Device)
		if kept := keyKept(s.Key); kept != "" {
			fmt.Fprintf(w, "By its key in:    %s\n", kept)
		}
		fmt.Fprintf(w, "Service:          %s\n", choose(s.Running, choose(s.Connected, "running, connected", "running, not connected now"), "not running"))
		if s.Connected && s.Way != "" {
			fmt.Fprintf(w, "By way of:        %s\n", s.Way)
		}
		fmt.Fprintf(w, "Last assessed:    %s\n", orNever(s.AssessedAt))
		fmt.Fprintf(w, "Last reported:    %s\n", orNever(s.ReportedAt))
		fmt.Fprintf(w, "Waiting to be sent: %d\n", s.Waiting)
		if s.Dropped > 0 {
			fmt.Fprintf(w, "Lost because too much waited: %d\n", s.Dropped)
		}
		fmt.Fprintf(w, "Policy:           %s\n", choose(s.Policy == 0, "the baseline that comes with the agent", fmt.Sprintf("number %d", s.Policy)))
		if s.ReportPage != "" {
			fmt.Fprintf(w, "Lost or stolen?   Report it without signing in at %s\n", s.ReportPage)
		}
		if s.Trouble != "" {
			fmt.Fprintf(w, "Trouble:          %s\n", s.Trouble)
		}
		if s.Runs != "" {
			fmt.Fprintf(w, "Version that runs: %s, which came as an update\n", s.Runs)
		}
		if s.Update != "" {
			fmt.Fprintf(w, "Not updated:      %s\n", s.Update)
		}
		if s.ClockOff != "" {
			fmt.Fprintf(w, "This laptop's clock: %s\n", s.ClockOff)
		}
	}
	printSelf(w, s)
	fmt.Fprintf(w, "\nWhat is checked, and why\n")
	for _, c := range s.Checks {
		fmt.Fprintf(w, "  - %s:\n    %s.\n", c.What, c.Why)
	}
	fmt.Fprintf(w, "\n%s\n", neverCollected)
}

// PrintApproval says for what this laptop waits and what happens next.
func PrintApproval(w io.Writer, a Approval) {
	fmt.Fprintf(w, "This laptop waits to be admitted to %s.\n\n", wire.Visible(a.SchoolName, 256))
	fmt.Fprintf(w, "    Its code:  %s\n\n", wire.Visible(a.Code, 16))
	fmt.Fprintf(w, "The school's technician finds this code on the page \"Waiting to be admitted\" and approves it there.\n")
	fmt.Fprintf(w, "Nothing is to be done here: its service asks again by itself, and this laptop reports to nobody until then.\n")
	if a.Reason != "" {
		fmt.Fprintf(w, "Why: %s.\n", strings.TrimSuffix(wire.Visible(a.Reason, 500), "."))
	}
	if !a.Until.IsZero() {
		fmt.Fprintf(w, "It asked on %s. If nobody decides until %s, it has to be enrolled again.\n", a.Asked.Local().Format(moment), a.Until.Local().Format(moment))
	}
}

// running is what the service writes about itself for ReadStatus.
type running struct {
	// Who it is to whom, for people who may not read the agent's identity.
	School     string   `json:"school"`
	SchoolName string   `json:"schoolName"`
	Device     string   `json:"device"`
	Collector  []string `json:"collector"`
	Key        string   `json:"key,omitempty"`        // where it is kept
	ReportPage string   `json:"reportPage,omitempty"` // where a loss is reported

	WrittenAt    time.Time `json:"writtenAt"`
	AssessedAt   time.Time `json:"assessedAt"`
	ReportedAt   time.Time `json:"reportedAt"`
	Acknowledged uint64    `json:"acknowledged"`
	Connected    bool      `json:"connected"`
	Policy       uint64    `json:"policy"`
	Waiting      int       `json:"waiting"`
	Dropped      uint64    `json:"dropped"`
	Trouble      string    `json:"trouble,omitempty"` // why it is not connected
	Way          string    `json:"way,omitempty"`     // to the collector, when it was last
	Obstacles    []string  `json:"obstacles,omitempty"`
	Fault        string    `json:"fault,omitempty"`   // why it could not assess or store
	Version      string    `json:"version,omitempty"` // of the service
	Update       string    `json:"update,omitempty"`  // why a new version is not taken
	Waits        string    `json:"waits,omitempty"`   // that the renewal of its certificate waits for approval
	Approval     *Approval `json:"approval,omitempty"`
	// Self is what the last assessment found, for whoever sits at the device.
	Self *assess.SelfView `json:"self,omitempty"`
	// Skew is this device's clock less the collector's when they last spoke,
	// and by how much this clock was set since.
	Skew time.Duration `json:"skew,omitempty"`
}

// clockTolerance is by how much clocks may differ without a word.
const clockTolerance = 5 * time.Minute

// clockOff puts a skew into words, if there is one worth a word.
func clockOff(skew time.Duration) string {
	if skew.Abs() <= clockTolerance {
		return ""
	}
	off := skew.Abs().Round(time.Minute)
	words := fmt.Sprintf("%d h %d min", int(off/time.Hour), int(off%time.Hour/time.Minute))
	if days := int(off / (24 * time.Hour)); days > 1 {
		words = fmt.Sprintf("%d days", days)
	}
	return words + choose(skew < 0, " behind", " ahead of") + " the collector's"
}

// mostTrouble bounds each part of what is the matter, in bytes: several ways to
// the collector may be blocked, each by something else.
const mostTrouble = 2000

// trouble puts both into one text. It may hold words of the other end.
func (r running) trouble() string {
	var all []string
	for _, t := range []string{r.Waits, r.Fault, r.Trouble} {
		if t != "" {
			all = append(all, wire.Visible(t, mostTrouble))
		}
	}
	return strings.Join(all, "; ")
}

func newStatus() Status {
	s := Status{Version: release.Version()}
	all := checks()
	for _, section := range []string{"system", "encryption", "antivirus", "media", "programs", "executables", "security"} {
		s.Checks = append(s.Checks, all[section])
	}
	return s
}

// keyKept says where the key is kept.
func keyKept(place string) string {
	switch posture.KeyPlace(place) {
	case posture.InTPM:
		return "this computer's TPM, which gives it to nobody"
	case posture.InFile:
		return "a file that its service alone may read"
	}
	return ""
}

func orNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(moment)
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func join(addresses []string) string {
	if len(addresses) == 0 {
		return "no address"
	}
	s := addresses[0]
	for _, a := range addresses[1:] {
		s += " or " + a
	}
	return s
}
