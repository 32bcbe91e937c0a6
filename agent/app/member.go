package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/enroll"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/release"
)

// EnrollConfig says with what to enrol.
type EnrollConfig struct {
	State string    // folder
	Token string    // "-": read it from Stdin; "": ask again for a laptop that waits
	Stdin io.Reader // for "-"
	// Class is whose laptop it is, as whoever enrols it says; "": what the token
	// says.
	Class posture.Ownership
	// Proxy is to be used to reach the school; nil: what was set before, if
	// anything was.
	Proxy *ProxyConfig
	// About says what to run to ask this machine what it is, for whoever approves
	// it; nil says nothing of it.
	About *Config
	// TPM is in which its key is made, if it can be; nil makes it in a file.
	TPM *tpm.TPM
	// InFile is told why the key is in a file; nil is not.
	InFile func(reason error)
	// Later keeps the token if the school did not answer, for the service to
	// enrol with when it does.
	Later bool
}

// CheckClass refuses laptops that belong to a person.
func CheckClass(class posture.Ownership) error {
	switch class {
	case "", posture.SchoolSingleUser, posture.SchoolMultiUser, posture.Authorised:
		return nil
	case posture.StudentOwned, posture.StaffOwned, posture.VisitorOwned:
		return fmt.Errorf("%w: it is %s, and a laptop that belongs to a person gets no agent, because the school has no say over it", enroll.ErrRefused, class)
	}
	return fmt.Errorf("%.40q is not a class of ownership: write school-single-user, school-multi-user, authorised, student-owned, staff-owned or visitor-owned", string(class))
}

// ErrLater means that a token is kept, and the service enrols with it when the
// school can be reached.
var ErrLater = errors.New("the school could not be reached: the service goes on trying, and forgets the token when it was answered")

// Enroll makes this machine a device of the school that made the token. It
// returns an ErrLater if that is left to the service, and an
// *enroll.WaitingError if somebody at the school has to approve it first.
func Enroll(ctx context.Context, c EnrollConfig, clk clock.Clock) (enroll.Identity, error) {
	if err := CheckClass(c.Class); err != nil {
		return enroll.Identity{}, err
	}
	if c.Token == "-" {
		text, err := io.ReadAll(io.LimitReader(c.Stdin, 4096))
		if err != nil {
			return enroll.Identity{}, fmt.Errorf("read the token: %w", err)
		}
		c.Token = strings.TrimSpace(string(text))
	}
	hostname, err := os.Hostname()
	if err != nil {
		return enroll.Identity{}, fmt.Errorf("read this machine's name: %w", err)
	}
	o := enroll.Options{Token: c.Token, State: c.State, Hostname: hostname, Platform: platform(), Built: release.Built(), Clock: clk, Routes: newRoutes(c.State, nil), TPM: c.TPM, InFile: c.InFile}
	if c.Proxy != nil { // before the token: the service needs it as soon as that is there
		if err := setProxy(c.State, *c.Proxy); err != nil {
			return enroll.Identity{}, err
		}
	}
	if c.Later && c.Token != "" { // before it is tried: whatever interrupts this, the service goes on
		if err := enroll.KeepToken(o); err != nil {
			return enroll.Identity{}, err
		}
	}
	if c.About != nil {
		o.Hardware = about(ctx, *c.About)
	}
	device, err := enroll.Enroll(ctx, o)
	waits := new(enroll.WaitingError)
	switch {
	case err == nil:
		return device.Identity, nil
	case errors.As(err, &waits): // the school has answered
	case c.Later && !errors.Is(err, enroll.ErrRefused) && !errors.Is(err, enroll.ErrEnrolled):
		return enroll.Identity{}, fmt.Errorf("%w: %w", ErrLater, err)
	}
	return enroll.Identity{}, err
}

func platform() posture.Platform {
	if runtime.GOOS == "darwin" {
		return posture.MacOS
	}
	return posture.Platform(runtime.GOOS)
}

// loadTerms reads what the device is judged by from what the school signed. A
// document that cannot be read counts as one that was never given, so that the
// collector gives it again. Until then the policy before it judges, or the
// baseline; without an assignment nothing may be judged, because the device
// might be one whose names are withheld.
func loadTerms(d *enroll.Device) terms {
	t := terms{mediaKey: d.MediaKey}
	t.policy, t.number, t.policyUnread = d.Document(enroll.Policy)
	// That no earlier one can be read is no trouble: the baseline is left.
	if before, number, err := d.Used(enroll.Policy); err == nil {
		if t.used = number; number != t.number {
			t.before = before
		}
	}
	if body, _, err := d.Document(enroll.Assignment); err != nil {
		t.unread = err
	} else if body != nil {
		if err := json.Unmarshal(body, &t.assignment); err != nil {
			t.assignment = policy.Assignment{}
			t.unread = fmt.Errorf("read the assignment in force: %w", err)
		}
	}
	return t
}

// ReadStatus reads what the service in a state folder says of itself. Who may
// not read the agent's identity gets it all the same, from what the service
// wrote for everybody.
func ReadStatus(dir string, built, now time.Time) (Status, error) {
	s := newStatus()
	device, err := enroll.Load(dir, built)
	stranger := errors.Is(err, fs.ErrPermission)
	switch {
	case errors.Is(err, enroll.ErrNotEnrolled):
		return s, s.unenrolled(dir)
	case err != nil && !stranger:
		return Status{}, err
	}
	var r running
	found, err := state{dir}.load(statusFile, &r)
	if err != nil {
		return Status{}, err
	}
	if !stranger {
		r.School, r.SchoolName = string(device.School), device.SchoolName
		r.Device, r.Collector, r.Key = string(device.Device), device.Addresses, string(device.Key.Place())
	}
	s.Enrolled = found || !stranger
	s.School, s.SchoolName, s.Device, s.Collector, s.Key = r.School, r.SchoolName, r.Device, r.Collector, r.Key
	s.ReportPage = readReportPage(r.ReportPage)
	s.AssessedAt, s.ReportedAt, s.Acknowledged = r.AssessedAt, r.ReportedAt, r.Acknowledged
	s.Self, s.Way, s.Obstacles = r.Self, r.Way, r.Obstacles
	s.Waiting, s.Dropped, s.Policy, s.Trouble, s.ClockOff = r.Waiting, r.Dropped, r.Policy, r.trouble(), clockOff(r.Skew)
	if s.Running, err = durable.Held(state{dir}.path(lockFile)); errors.Is(err, fs.ErrPermission) {
		// Whoever may not ask for the lock judges by when it last wrote.
		s.Running = now.Sub(r.WrittenAt) < contactEvery+contactEvery/4
	} else if err != nil {
		return Status{}, fmt.Errorf("see whether the service runs: %w", err)
	}
	s.Connected = s.Running && r.Connected
	s.sayVersion(r)
	return s, nil
}
