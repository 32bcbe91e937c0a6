package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// ImportArguments import a school's list of devices.
type ImportArguments struct {
	School string    `json:"school"`
	File   string    `json:"file"` // its name, for the record
	Source []byte    `json:"source"`
	AsOf   time.Time `json:"asOf"` // when the list was true; zero: now
	DryRun bool      `json:"dryRun"`
}

// ImportAnswer is what a list changed, or would.
type ImportAnswer struct {
	School posture.SchoolID `json:"school"`
	DryRun bool             `json:"dryRun"`
	register.Plan
	Recorded bool   `json:"recorded"` // nothing is if nothing changed
	Entry    uint64 `json:"entry"`    // of the ledger, if something was
}

// RegisterArguments change something in the register.
type RegisterArguments struct {
	School string          `json:"school"`
	Change register.Change `json:"change"`
	Device string          `json:"device,omitempty"` // identifier or host name: of a tie, or in which a medium is
	Person string          `json:"person,omitempty"` // who gets it, by name
	On     string          `json:"on,omitempty"`     // when it happened, by the clock on the school's wall, such as "2026-11-27 16:00"; of a day on which somebody leaves its end
	Until  string          `json:"until,omitempty"`  // when a loan ends, the same
	Reason string          `json:"reason,omitempty"`
}

// RegisterAnswer is a change that was recorded.
type RegisterAnswer struct {
	School posture.SchoolID `json:"school"`
	Tag    string           `json:"tag"`
	What   register.What    `json:"what"`
	Entry  uint64           `json:"entry"` // of the ledger
}

// AssetArguments ask for assets.
type AssetArguments struct {
	School  string     `json:"school"`
	Tag     string     `json:"tag,omitempty"` // of the only one
	Search  string     `json:"search,omitempty"`
	Cover   view.Cover `json:"cover,omitempty"`
	Overdue bool       `json:"overdue,omitempty"`
	// BySerial asks for what was admitted by its serial number alone.
	BySerial bool   `json:"bySerial,omitempty"`
	After    string `json:"after,omitempty"`
	Limit    int    `json:"limit,omitempty"`
}

// usualReason stands where nobody gave another.
const usualReason = register.UsualReason

// Keep implements api.Keeper.
func (c *collector) Keep(ctx context.Context, id posture.SchoolID, d decision.Decision, change register.Change) (entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return 0, err
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if err := c.followed(ctx, s); err != nil {
		return 0, err
	}
	if change, err = c.noticed(ctx, id, change); err != nil {
		return 0, err
	}
	if err := c.keepable(ctx, id, d, change); err != nil {
		return 0, err
	}
	told, err := c.setAside(ctx, id, change)
	if err != nil {
		return 0, err
	}
	defer c.show(ctx, s)
	if entry, err = s.keep(ctx, d, change, c.clock.Now()); err == nil {
		err = c.tell(ctx, s, told)
	}
	return entry, err
}

// keepable says why a change would change nothing as things stand. As with a
// decision about a breach, folding it in asks again.
func (c *collector) keepable(ctx context.Context, school posture.SchoolID, d decision.Decision, change register.Change) error {
	now := c.clock.Now()
	switch {
	case change.What == register.Left && change.When.After(now.AddDate(1, 0, 0)):
		return &decision.RefusedError{Why: "that somebody leaves is recorded a year ahead at most"}
	case change.What != register.Left && change.When.After(now):
		return &decision.RefusedError{Why: "what is recorded has happened: its time lies ahead"}
	}
	switch {
	case change.What == register.TieBySerial:
		return &decision.RefusedError{Why: "that a laptop is an asset by its serial number is recorded when it is admitted: say yourself which it is"}
	case change.OfMedium():
		return c.mediumKeepable(ctx, school, d, change)
	case change.OfLicence():
		return c.licenceKeepable(ctx, school, d, change)
	case change.What == register.AcknowledgeUse, change.What == register.ListsLast:
		return nil
	}
	if change.What == register.SetNotice {
		return c.noticeKeepable(ctx, school, change)
	}
	asset, err := c.view.Queries().Asset(ctx, school, change.Tag, now)
	if errors.Is(err, view.ErrNotFound) {
		return &decision.RefusedError{Why: fmt.Sprintf("there is no asset %q in the register", change.Tag)}
	}
	if err != nil {
		return err
	}
	if change.What == register.Tie {
		if err := register.CheckTie(asset.Tag, asset.Class); err != nil {
			return &decision.RefusedError{Why: err.Error()}
		}
		if err := c.tieable(ctx, school, change, now); err != nil {
			return err
		}
	}
	_, err = asset.Take(change, register.Made{By: d.By, Person: d.Person, At: now, Entry: asset.Entry + 1})
	if void, ok := errors.AsType[*register.VoidError](err); ok {
		return &decision.RefusedError{Why: void.Why}
	}
	return err
}

func (c *collector) tieable(ctx context.Context, school posture.SchoolID, change register.Change, now time.Time) error {
	device, err := c.view.Queries().Device(ctx, school, change.Device, now)
	switch {
	case errors.Is(err, view.ErrNotFound):
		return &decision.RefusedError{Why: fmt.Sprintf("no device %q is enrolled", change.Device)}
	case err != nil:
		return err
	case !device.RevokedAt.IsZero():
		return &decision.RefusedError{Why: "the device is known no more: its certificate was revoked"}
	case device.AssetTag != "" && register.Key(device.AssetTag) != register.Key(change.Tag):
		return &decision.RefusedError{Why: fmt.Sprintf("%s is the asset %s already: untie it first", device.Hostname, device.AssetTag)}
	}
	return nil
}

// keep records a change of the register.
func (s *school) keep(ctx context.Context, d decision.Decision, change register.Change, now time.Time) (entry uint64, err error) {
	return s.record(ctx, now, func(salts [2][proof.SaltSize]byte) ([]proof.Section, error) {
		return decision.RegisterSections(d, change, salts)
	})
}

// ImportRegister implements web.Importer and api.Importer: it imports a list as
// whoever decides, or says what that would change. If anything is wrong nothing is
// recorded, and the error holds a *register.WrongError.
func (c *collector) ImportRegister(ctx context.Context, id posture.SchoolID, d decision.Decision, source []byte, asOf time.Time, dry bool) (plan register.Plan, entry uint64, err error) {
	s, err := c.school(string(id))
	if err != nil {
		return plan, 0, err
	}
	lines, err := register.ParseCSV(source)
	if err != nil {
		return plan, 0, err
	}
	now := c.clock.Now()
	if asOf = cmp.Or(asOf.UTC(), now.UTC()); asOf.After(now) {
		return plan, 0, &decision.RefusedError{Why: "a list cannot have been true at a time that lies ahead"}
	}
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if err := c.followed(ctx, s); err != nil {
		return plan, 0, err
	}
	defer c.show(ctx, s)
	assets, enrolled, err := c.view.Queries().Holdings(ctx, s.ID, now)
	if err != nil {
		return plan, 0, err
	}
	if plan, err = register.Prepare(lines, assets, enrolled, asOf); err != nil || dry || plan.Nothing() {
		return plan, 0, err
	}
	d.Kind, d.At = decision.Register, now
	if entry, err = s.keep(ctx, d, plan.Change, now); err == nil {
		err = c.tell(ctx, s, asideBy(assets, plan.Change.Items))
	}
	return plan, entry, err
}

// importDevices imports a list as the operator, or says what that would change.
func (c *collector) importDevices(ctx context.Context, a ImportArguments) (ImportAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return ImportAnswer{}, err
	}
	plan, entry, err := c.ImportRegister(ctx, s.ID, decision.Decision{By: operator(), Reason: register.ImportReason}, a.Source, a.AsOf, a.DryRun)
	if _, wrong := errors.AsType[*register.WrongError](err); wrong {
		err = fmt.Errorf("nothing was imported from %s:\n%w", a.File, err)
	}
	return ImportAnswer{School: s.ID, DryRun: a.DryRun, Plan: plan, Recorded: err == nil && !a.DryRun && !plan.Nothing(), Entry: entry}, err
}

// changeRegister records a change as the operator.
func (c *collector) changeRegister(ctx context.Context, a RegisterArguments) (RegisterAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return RegisterAnswer{}, err
	}
	if a.Change.What == register.Import {
		return RegisterAnswer{}, errors.New("a list is imported with register import")
	}
	if err := c.times(ctx, s.ID, &a); err != nil {
		return RegisterAnswer{}, err
	}
	if a.Device != "" {
		if err := c.name(ctx, s.ID, &a); err != nil {
			return RegisterAnswer{}, err
		}
	}
	if a.Change.What == register.SignLicence {
		return RegisterAnswer{}, errors.New("a licence is signed for with licence sign, which counts what is installed")
	}
	if err := a.Change.Name(a.Person); err != nil {
		return RegisterAnswer{}, err
	}
	if err := a.Change.Check(); err != nil {
		return RegisterAnswer{}, err
	}
	d := decision.Decision{
		Kind: decision.Register, By: operator(), At: c.clock.Now(), Reason: cmp.Or(a.Reason, usualReason), Person: a.Person,
	}
	entry, err := c.Keep(ctx, s.ID, d, a.Change)
	return RegisterAnswer{School: s.ID, Tag: a.Change.Tag, What: a.Change.What, Entry: entry}, err
}

// name puts what a change says of a device into the change.
func (c *collector) name(ctx context.Context, school posture.SchoolID, a *RegisterArguments) error {
	device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return err
	}
	switch {
	case a.Change.What == register.Tie, a.Change.What == register.ExcludeDevice, a.Change.What == register.IncludeDevice:
		a.Change.Device = device.ID
	case a.Change.What == register.RegisterMedium && a.Change.Issue != nil:
		a.Change.Issue.Serials, err = c.inserted(ctx, school, device)
	default:
		err = fmt.Errorf("%s names no device", a.Change.What)
	}
	return err
}

func (c *collector) assets(ctx context.Context, a AssetArguments) (view.AssetPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.AssetPage{}, err
	}
	return c.view.Queries().Assets(ctx, s.id, view.AssetQuery{
		Search: a.Search, Cover: a.Cover, Overdue: a.Overdue, BySerial: a.BySerial, Names: true, After: a.After, Limit: a.Limit,
	}, c.clock.Now())
}

func (c *collector) asset(ctx context.Context, a AssetArguments) (view.Registered, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.Registered{}, err
	}
	one, err := queries{c.view.Queries(), c}.Asset(ctx, s.id, a.Tag, c.clock.Now())
	if errors.Is(err, view.ErrNotFound) {
		err = fmt.Errorf("%s has no asset %q in its register", s.name, a.Tag)
	}
	return one, err
}

func (c *collector) coverage(ctx context.Context, a AssetArguments) (view.Coverage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.Coverage{}, err
	}
	return c.view.Queries().Coverage(ctx, s.id, c.clock.Now())
}
