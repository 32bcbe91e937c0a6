package enroll

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/identity"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
	"github.com/caretaker-school/caretaker/shared/release"
	"github.com/caretaker-school/caretaker/shared/wire"
	pb "github.com/caretaker-school/caretaker/shared/wire/wirepb"
)

// The files of a machine that asks who it is: the key by which it asks, and what
// is known of it. Without the second it does not ask.
const (
	partKeyFile = "part.key.pem"
	partFile    = "part.json"
)

// Asking is a machine that has the name of a device and does not know whether it
// is that device: two machines answer to the name, or its state was copied.
type Asking struct {
	Moved bool   `json:"moved,omitempty"` // its state comes from other hardware
	Kept  *Kept  `json:"kept,omitempty"`  // it was told that it is the device
	Own   []byte `json:"own,omitempty"`   // it was told who it is instead: an encoded answer
}

// Kept says where the reports of the device go on.
type Kept struct {
	Recorded uint64       `json:"recorded"` // sequence of the last that is in the record; 0 for none
	Hash     proof.Digest `json:"hash"`     // of its statement
	Ready    bool         `json:"ready"`    // what waits was numbered anew
}

// LoadAsking returns whether a machine has to ask who it is, and what it was
// told; nil if it does not.
func LoadAsking(state string) (*Asking, error) {
	data, err := os.ReadFile(filepath.Join(state, partFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it does not ask
	}
	if err != nil {
		return nil, fmt.Errorf("read who this machine asks to be: %w", err)
	}
	var a Asking
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("read who this machine asks to be: %w", err)
	}
	return &a, nil
}

// StoreAsking has a machine ask who it is from now on, or keeps what it was told.
func StoreAsking(state string, a Asking) error {
	data, err := json.Marshal(a)
	if err == nil {
		err = durable.WriteFile(filepath.Join(state, partFile), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep who this machine asks to be: %w", err)
	}
	return nil
}

// Machine is what a machine says of itself when it asks who it is.
type Machine struct {
	Numbers  []string // keyed hashes of its firmware's, as reports say them
	Hostname string
	Platform posture.Platform
	Moved    bool
}

// ErrAsks means that it is not known yet who this machine is.
var ErrAsks = errors.New("this laptop waits until the school says which of two machines with its name it is; it keeps what it has to report, and asks again by itself")

// Code returns the code by which people recognise this machine while it asks.
func (d *Device) Code() (string, error) {
	key, err := d.makePart()
	if err != nil {
		return "", err
	}
	return identity.ShortCode(d.School, key.Public())
}

// AskWho asks the school who this machine is, by a key of its own, and returns
// what it was told.
func (d *Device) AskWho(ctx context.Context, m Machine, c clock.Clock) (Asking, error) {
	config, err := d.TLS()
	if err != nil {
		return Asking{}, err
	}
	key, err := d.makePart()
	if err != nil {
		return Asking{}, err
	}
	request, err := key.Request()
	if err != nil {
		return Asking{}, err
	}
	asked := &pb.PartRequest{
		CertificateRequest: request, Machine: m.Numbers, Platform: string(m.Platform), Hostname: wire.Visible(m.Hostname, 256),
		AgentVersion: release.Version(), Moved: m.Moved,
	}
	var unreached []error
	for _, address := range d.Addresses {
		var answer *pb.PartResponse
		err := caller{d.Routes, config, c}.call(ctx, address, func(ctx context.Context, conn *grpc.ClientConn) error {
			var err error
			answer, err = pb.NewUplinkClient(conn).Part(ctx, asked)
			return err
		})
		if err == nil {
			return d.told(m, answer)
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
		return Asking{}, fmt.Errorf("%w: %w", ErrAsks, asked)
	}
	return Asking{}, fmt.Errorf("ask who this laptop is: %w", err)
}

// told checks what a machine was told.
func (d *Device) told(m Machine, answer *pb.PartResponse) (Asking, error) {
	a := Asking{Moved: m.Moved}
	switch {
	case answer.GetKeeps():
		if n := len(answer.GetHash()); n != len(proof.Digest{}) {
			return a, fmt.Errorf("ask who this laptop is: the last report is named by %d bytes", n)
		}
		a.Kept = &Kept{Recorded: answer.GetRecorded(), Hash: proof.Digest(answer.GetHash())}
		return a, nil
	case answer.GetOwn() == nil:
		return a, errors.New("ask who this laptop is: the collector answered nothing")
	}
	own, err := proto.Marshal(answer.GetOwn())
	if err != nil {
		return a, fmt.Errorf("ask who this laptop is: %w", err)
	}
	a.Own = own
	key, err := loadKey(d.path(partKeyFile), d.tpm)
	if err != nil {
		return a, err
	}
	_, err = d.own(key, answer.GetOwn())
	return a, err
}

// own makes the device that this machine was told to be. It is one of the same
// school, which signs with the same key.
func (d *Device) own(key *identity.DeviceKey, answer *pb.EnrollResponse) (*Device, error) {
	id := Identity{
		School: posture.SchoolID(answer.GetSchool()), SchoolName: wire.Visible(answer.GetSchoolName(), 256), Device: posture.DeviceID(answer.GetDevice()),
		Addresses: d.Addresses, Certificate: answer.GetCertificate(), Authority: answer.GetAuthority(), SchoolKey: answer.GetSchoolKey(), MediaKey: answer.GetMediaKey(),
	}
	if id.School != d.School || id.SchoolKey != d.SchoolKey {
		return nil, errors.New("take the name that this laptop was told: it is of another school")
	}
	made, err := newDevice(d.state, id, key, d.Trusted)
	if err != nil {
		return nil, fmt.Errorf("take the name that this laptop was told: %w", err)
	}
	return made, nil
}

// Keep ends the asking of a machine that is the device: from now on it says by
// which key it was told so. What waits was numbered anew.
func Keep(state string, built time.Time) error {
	d, err := Load(state, built)
	if err != nil {
		return err
	}
	key, err := loadKey(filepath.Join(state, partKeyFile), nil)
	switch {
	case err == nil:
		hash, err := identity.KeyFingerprint(key.Public())
		if err != nil {
			return err
		}
		d.Told = hex.EncodeToString(hash[:])
		if err := d.writeIdentity(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return endAsking(state)
}

// BecomeOwn makes this machine the device that it was told to be. Called again
// after it was interrupted, it goes on. What the state folder holds of the other
// device, but for what this package keeps, is gone by then.
func BecomeOwn(state string, a Asking, built time.Time) error {
	var answer pb.EnrollResponse
	if err := proto.Unmarshal(a.Own, &answer); err != nil {
		return fmt.Errorf("read the name that this laptop was told: %w", err)
	}
	keyAt := filepath.Join(state, partKeyFile)
	if _, err := os.Stat(keyAt); errors.Is(err, fs.ErrNotExist) {
		keyAt = filepath.Join(state, keyFile) // it was moved before
	}
	key, err := loadKey(keyAt, nil)
	if err != nil {
		return err
	}
	before, err := readIdentity(state)
	if err != nil {
		return err
	}
	d, err := (&Device{Identity: before, Trusted: identity.NewTrusted(built, told(state)), state: state}).own(key, &answer)
	if err != nil {
		return err
	}
	for _, kind := range []string{Policy, Assignment} {
		for _, file := range []string{d.documentFile(kind), d.usedFile(kind)} {
			if err := remove(file); err != nil {
				return err
			}
		}
	}
	if err := d.keep(&answer); err != nil {
		return err
	}
	if keyAt == filepath.Join(state, partKeyFile) {
		if err := os.Rename(keyAt, filepath.Join(state, keyFile)); err != nil {
			return fmt.Errorf("take the key of the name that this laptop was told: %w", err)
		}
		if err := durable.SyncDir(state); err != nil {
			return err
		}
	}
	return endAsking(state)
}

func readIdentity(state string) (id Identity, err error) {
	data, err := os.ReadFile(filepath.Join(state, identityFile))
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err != nil {
		return id, fmt.Errorf("load the laptop's identity: %w", err)
	}
	return id, nil
}

// endAsking takes away what is kept of a machine that asks: what says that it
// does comes last.
func endAsking(state string) error {
	if err := remove(filepath.Join(state, partKeyFile)); err != nil {
		return err
	}
	return remove(filepath.Join(state, partFile))
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end asking who this laptop is: %w", err)
	}
	return nil
}
