package enroll

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/caretaker-school/caretaker/agent/route"
	"github.com/caretaker-school/caretaker/agent/tpm"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// Device is an enrolled laptop. It is safe for concurrent use.
type Device struct {
	Identity
	Verifier identity.SchoolVerifier // of what the school signs
	Key      *identity.DeviceKey
	Trusted  *identity.Trusted // the time by which certificates are judged
	Routes   *route.Routes     // to the collector; nil goes straight

	state string
	tpm   *tpm.TPM // that of its key

	mu          sync.Mutex // guards certificate, Identity.Certificate and the files of documents
	certificate *tls.Certificate
}

// TLS returns the configuration of connections to the collector. It uses the
// newest certificate for each.
func (d *Device) TLS() (*tls.Config, error) {
	d.mu.Lock()
	others := slices.Clone(d.Others)
	d.mu.Unlock()
	return identity.Client{
		School: d.School, Authority: d.Authority, Others: others, Trusted: d.Trusted, Learned: d.learn,
		Certificate: func() (*tls.Certificate, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.certificate, nil
		},
	}.Config()
}

// learn keeps an authority that one that is known vouches for. That it cannot be
// kept is no reason to end a connection: it is learned again from the next.
func (d *Device) learn(authority []byte) {
	d.mu.Lock()
	known := slices.ContainsFunc(d.Others, func(o []byte) bool { return bytes.Equal(o, authority) })
	if !known {
		d.Others = append(slices.Clone(d.Others), authority)
	}
	d.mu.Unlock()
	if !known {
		_ = d.writeIdentity()
	}
}

// The documents that a school signs for its laptops.
const (
	Policy     = "policy"
	Assignment = "assignment"
)

// ErrNotNewer means that a document was taken before, or is older than one
// that was: numbers only rise.
var ErrNotNewer = errors.New("it is not newer than the one in force")

// heading is what this package reads of a document.
type heading struct {
	Number uint64           `json:"number"`
	School posture.SchoolID `json:"school"` // of an assignment
	Device posture.DeviceID `json:"device"` // of an assignment
}

// Document returns the body of the document in force, nil if the school has
// given none. It was signed by the school, and is checked again each time.
func (d *Device) Document(kind string) (body []byte, number uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.document(kind)
}

// Used returns the body of the document that was last of use, which may be an
// earlier one than that in force; nil if none was kept.
func (d *Device) Used(kind string) (body []byte, number uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read(kind, d.usedFile(kind))
}

// KeepUsed keeps the document in force, if that is still the one of that
// number, as one that was of use.
func (d *Device) KeepUsed(kind string, number uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	signed, err := os.ReadFile(d.documentFile(kind))
	if err != nil {
		return fmt.Errorf("keep the %s in force: %w", kind, err)
	}
	if _, h, err := d.open(kind, signed); err != nil || h.Number != number {
		return err
	}
	if err := durable.WriteFile(d.usedFile(kind), signed, 0o600); err != nil {
		return fmt.Errorf("keep the %s in force: %w", kind, err)
	}
	return nil
}

func (d *Device) document(kind string) ([]byte, uint64, error) {
	return d.read(kind, d.documentFile(kind))
}

func (d *Device) read(kind, file string) ([]byte, uint64, error) {
	signed, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the %s in force: %w", kind, err)
	}
	body, h, err := d.open(kind, signed)
	if err != nil {
		return nil, 0, fmt.Errorf("read the %s in force: %w", kind, err)
	}
	return body, h.Number, nil
}

// Take puts a document in force: it must be signed by the school, be for this
// device, and have a higher number than the one before. It returns the body.
func (d *Device) Take(kind string, signed []byte) ([]byte, error) {
	body, h, err := d.open(kind, signed)
	if err != nil {
		return nil, fmt.Errorf("take %s: %w", kind, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, before, err := d.document(kind)
	if err != nil {
		// What is in force cannot be read: something that the school signed is
		// better than nothing.
		before = 0
	}
	if h.Number <= before {
		return nil, fmt.Errorf("take %s %d: %w", kind, h.Number, ErrNotNewer)
	}
	if err := durable.WriteFile(d.documentFile(kind), signed, 0o600); err != nil {
		return nil, fmt.Errorf("take %s %d: %w", kind, h.Number, err)
	}
	return body, nil
}

func (d *Device) open(kind string, signed []byte) ([]byte, heading, error) {
	var h heading
	body, err := d.Verifier.Document(kind, signed)
	if err != nil {
		return nil, h, err
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return nil, h, err
	}
	if kind == Assignment && (h.School != d.School || h.Device != d.Device) {
		return nil, h, fmt.Errorf("it is for %.70q of %.70q", string(h.Device), string(h.School))
	}
	return body, h, nil
}

func (d *Device) documentFile(kind string) string { return filepath.Join(d.state, kind+".signed") }
func (d *Device) usedFile(kind string) string     { return filepath.Join(d.state, kind+".used.signed") }
func (d *Device) path(name string) string         { return filepath.Join(d.state, name) }

// rememberEvery is how far the collector's time must have moved on to be worth
// a write.
const rememberEvery = 24 * time.Hour

// Heard takes in the time that an authenticated collector told, at own by the
// laptop's clock.
func (d *Device) Heard(collector, own time.Time) error {
	d.Trusted.Heard(collector, own)
	now := d.Trusted.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(told(d.state)) < rememberEvery {
		return nil
	}
	data, err := json.Marshal(now.UTC())
	if err != nil {
		return fmt.Errorf("remember the collector's time: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(d.state, toldFile), data, 0o600); err != nil {
		return fmt.Errorf("remember the collector's time: %w", err)
	}
	return nil
}

// told returns the time that was remembered; the zero time if none was, or if
// it cannot be read: it only makes certificates hold longer.
func told(state string) time.Time {
	var t time.Time
	data, err := os.ReadFile(filepath.Join(state, toldFile))
	if err != nil || json.Unmarshal(data, &t) != nil {
		return time.Time{}
	}
	return t
}

// renewal is how long to wait after a renewal that failed, and the longest
// that the laptop sleeps without looking at the time.
const (
	renewAgain = time.Hour
	renewLook  = 24 * time.Hour
)

// ErrWaits means that the certificate ended so long ago that somebody at the
// school has to approve its renewal.
var ErrWaits = errors.New("this laptop waits for the school to approve the renewal of its certificate; it goes on checking, keeps what it has to report, and asks again by itself")

// KeepCertificate renews the certificate whenever two thirds of its life have
// passed, until ctx ends. told is told how each attempt ended.
func (d *Device) KeepCertificate(ctx context.Context, c clock.Clock, log *slog.Logger, told func(error)) error {
	for {
		d.mu.Lock()
		due := identity.RenewAfter(d.certificate.Leaf)
		d.mu.Unlock()
		now := c.Now()
		if t := d.Trusted.Now(); t.After(now) {
			now = t
		}
		wait := min(max(due.Sub(now), 0), renewLook)
		if wait == 0 {
			wait = renewLook
			err := d.Renew(ctx, c)
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, ErrWaits):
				log.Warn("the renewal of the certificate waits for the school's approval; nothing is lost, and it is asked for again", "again", renewAgain, "reason", err)
				wait = renewAgain
			case err != nil:
				log.Warn("certificate not renewed", "error", err)
				wait = renewAgain
			}
			told(err)
		}
		woken, stop := c.After(wait)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-woken:
		}
	}
}

// Renew gets a new certificate for the same key. The collector answers even if
// the present one has ended.
func (d *Device) Renew(ctx context.Context, c clock.Clock) error {
	config, err := d.TLS()
	if err != nil {
		return err
	}
	request, err := d.Key.Request()
	if err != nil {
		return err
	}
	var unreached []error
	for _, address := range d.Addresses {
		var answer *pb.RenewResponse
		err := caller{d.Routes, config, c}.call(ctx, address, func(ctx context.Context, conn *grpc.ClientConn) error {
			var err error
			answer, err = pb.NewUplinkClient(conn).Renew(ctx, &pb.RenewRequest{CertificateRequest: request})
			return err
		})
		if err == nil {
			return d.replace(answer.GetCertificate())
		}
		err = fmt.Errorf("%s: %w", address, err)
		if refuses(err) {
			unreached = []error{err}
			break
		}
		unreached = append(unreached, err)
	}
	err = errors.Join(unreached...)
	if asked, ok := errors.AsType[*refusedError](err); ok && asked.code == codes.FailedPrecondition {
		return fmt.Errorf("%w: %w", ErrWaits, asked)
	}
	return fmt.Errorf("renew the certificate: %w", err)
}

// replace puts a renewed certificate in force.
func (d *Device) replace(der []byte) error {
	d.mu.Lock()
	renewed := d.Identity
	d.mu.Unlock()
	renewed.Certificate = der
	checked, err := newDevice(d.state, renewed, d.Key, d.Trusted)
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	d.mu.Lock()
	d.certificate, d.Certificate = checked.certificate, der
	d.mu.Unlock()
	return d.writeIdentity()
}
