package enroll

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caretaker-school/caretaker/collector/admission"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// applicant is one that waits as it is kept.
type applicant struct {
	admission.Pending
	Key   []byte       `json:"key"`            // uncompressed point
	Claim proof.Digest `json:"claim,omitzero"` // identity.HashSecret of what it asks with in place of the token
	// AssetEntry is which entry of the ledger had changed the asset last when it was
	// found: what came later may have given it another serial number.
	AssetEntry uint64 `json:"assetEntry,omitzero"`

	// from is the network address from which it asked, since this collector
	// started. It is stored nowhere.
	from string
}

// How long a device waits, or is told that it was refused, and how many do. One
// token takes at most half of a school's room, and one network address at most
// half of a token's: whoever found a token lying about leaves room for others.
// Nobody is ever put out for somebody else.
const (
	PendingLasts = 14 * 24 * time.Hour
	mostPending  = 10_000 // of a school, and as many that were refused
	sparePending = 20     // of a token, beside twice its uses
)

// roomOf returns how many may wait that asked with a token.
func roomOf(uses int) int { return min(2*uses+sparePending, mostPending/2) }

const (
	pendingDir = "pending" // in a school's folder
	pendingExt = ".json"
	// mostApplicant bounds the file of one that waits, in bytes.
	mostApplicant = 16 << 10
)

// pendings are the devices of a school that wait: one small file each, so that
// none is lost when the collector is started anew. They are no part of the
// record, because they are only what strangers said; what is decided about them
// is.
type pendings struct {
	dir string
	log *slog.Logger

	changing sync.Mutex // held while files change

	mu      sync.RWMutex // guards all below
	byCode  map[string]*applicant
	byClaim map[proof.Digest]*applicant
}

var (
	errCollision = status.Error(codes.AlreadyExists, "another laptop that waits has the same code: this one makes a new key and asks again")
	errRoom      = status.Error(codes.ResourceExhausted, "as many laptops wait to be admitted as may: the school's technician must approve or refuse some first; this one goes on asking")
)

// openPendings reads who waits at a school. What cannot be read is told and
// waits no more.
func openPendings(school string, log *slog.Logger) *pendings {
	p := &pendings{dir: filepath.Join(school, pendingDir), log: log, byCode: map[string]*applicant{}, byClaim: map[proof.Digest]*applicant{}}
	files, err := os.ReadDir(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("which laptops wait to be admitted cannot be read", "error", err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != pendingExt {
			continue
		}
		a, err := readApplicant(filepath.Join(p.dir, f.Name()))
		if err != nil {
			log.Error("a laptop that waits to be admitted cannot be read", "file", f.Name(), "error", err)
			continue
		}
		p.put(a)
	}
	return p
}

func readApplicant(path string) (*applicant, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > mostApplicant {
		return nil, fmt.Errorf("it has %d bytes", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a, err := decodeApplicant(data)
	if err == nil && nameOf(a.Code) != filepath.Base(path) {
		err = fmt.Errorf("it is about %.40q", a.Code)
	}
	return a, err
}

func decodeApplicant(data []byte) (*applicant, error) {
	var a applicant
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, err
	}
	if _, err := a.key(); err != nil {
		return nil, err
	}
	return &a, nil
}

func (a *applicant) key() (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), a.Key)
}

func nameOf(code string) string { return strings.ToLower(code) + pendingExt }

// put is called with changing held, or before anybody else knows of p.
func (p *pendings) put(a *applicant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.byCode[a.Code]; before != nil {
		delete(p.byClaim, before.Claim)
	}
	p.byCode[a.Code] = a
	if a.Claim != (proof.Digest{}) {
		p.byClaim[a.Claim] = a
	}
}

// store writes one durably, and has it known then. changing is held.
func (p *pendings) store(a *applicant) error {
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("keep a laptop that waits to be admitted: %w", err)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("keep a laptop that waits to be admitted: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(p.dir, nameOf(a.Code)), data, 0o600); err != nil {
		return fmt.Errorf("keep a laptop that waits to be admitted: %w", err)
	}
	p.put(a)
	return nil
}

// drop forgets one. changing is held.
func (p *pendings) drop(a *applicant) {
	p.mu.Lock()
	delete(p.byCode, a.Code)
	delete(p.byClaim, a.Claim)
	p.mu.Unlock()
	if err := durable.Remove(filepath.Join(p.dir, nameOf(a.Code))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Warn("a laptop that does not wait any more is still in the folder", "error", err)
	}
}

// sweep forgets those whose time is over, and those that are devices by now:
// one was admitted, and the collector ended before it was taken away. changing
// is held.
func (p *pendings) sweep(now time.Time, known func(*ecdsa.PublicKey) bool) {
	for _, a := range p.all() {
		key, err := a.key()
		if !now.Before(a.Ends) || err != nil || known(key) {
			p.drop(a)
		}
	}
}

func (p *pendings) all() []*applicant {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := make([]*applicant, 0, len(p.byCode))
	for _, a := range p.byCode {
		list = append(list, a)
	}
	return list
}

// of returns the one with a key, if it waits or was refused; twin says that
// another key has its code.
func (p *pendings) of(code string, point []byte) (a *applicant, twin bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	found := p.byCode[code]
	if found == nil {
		return nil, false
	}
	if !bytes.Equal(found.Key, point) {
		return nil, true
	}
	return found, false
}

// coded returns the one that shows a code, or nil.
func (p *pendings) coded(code string) *applicant {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byCode[code]
}

// claimed returns the one that asks with a claim.
func (p *pendings) claimed(hash proof.Digest) *applicant {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byClaim[hash]
}

// heard notes when one asked last, and returns it as it stands.
func (p *pendings) heard(a *applicant, now time.Time, from string) admission.Pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.Last, a.from = now, from
	return a.Pending
}

// copy returns one to change and store in its place.
func (p *pendings) copy(a *applicant) *applicant {
	p.mu.RLock()
	defer p.mu.RUnlock()
	same := *a
	return &same
}

// room reports whether there is any for one more that asks with a token from a
// network address. changing is held.
func (p *pendings) room(token string, uses int, from string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	most, waiting, tokens, same := roomOf(uses), 0, 0, 0
	for _, a := range p.byCode {
		if !a.Refused.IsZero() {
			continue
		}
		waiting++
		if a.Token == token {
			tokens++
			if from != "" && a.from == from {
				same++
			}
		}
	}
	return waiting < mostPending && tokens < most && same < most/2
}

// makeRoom forgets those that were refused first, if there are too many.
// changing is held.
func (p *pendings) makeRoom() {
	var refused []*applicant
	for _, a := range p.all() {
		if !a.Refused.IsZero() {
			refused = append(refused, a)
		}
	}
	if len(refused) < mostPending {
		return
	}
	p.drop(slices.MinFunc(refused, func(a, b *applicant) int { return a.Refused.Compare(b.Refused) }))
}

// list returns them as they stand, who asked first first.
func (p *pendings) list() []admission.Pending {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := make([]admission.Pending, 0, len(p.byCode))
	for _, a := range p.byCode {
		list = append(list, a.Pending)
	}
	slices.SortFunc(list, func(a, b admission.Pending) int { return cmp.Or(a.Asked.Compare(b.Asked), cmp.Compare(a.Code, b.Code)) })
	return list
}
