package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Look implements web.Looks and api.Looks. While a record takes nothing in, looks
// wait in its reserve; when that cannot be had or is full, nobody is shown what
// they would be recorded to look at.
func (c *collector) Look(ctx context.Context, id posture.SchoolID, l viewing.Look) error {
	r, err := c.record(string(id))
	if err == nil && r.looks == nil {
		err = r.refusal()
	}
	if err == nil {
		l, err = c.naming(ctx, r.id, l)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", viewing.ErrUnrecorded, err)
	}
	return r.looks.Look(ctx, l, c.clock.Now())
}

// looksFile is a school's reserve for looks, in its folder.
const looksFile = "looks-waiting"

// reserve has who looks at a school's devices recorded, and takes the room in which
// that waits while it cannot be.
func (c *collector) reserve(r *record) {
	if r.looks == nil {
		r.written = make(chan struct{}, 1)
		r.looks = viewing.NewBook(r.recordLook)
	}
	if r.waits() != nil || c.aside {
		return
	}
	reserve, err := viewing.OpenReserve(filepath.Join(r.found.Dir, looksFile))
	if err != nil {
		c.log.Error("looks at a school's devices cannot wait: while its record cannot be written none is shown", "school", r.id, "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reserve = reserve
}

// waits returns where looks wait; nil if that cannot be had.
func (r *record) waits() *viewing.Reserve {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.reserve
}

// recordLook records that somebody looks, in the school's record or, while that
// takes nothing in, in its reserve.
func (r *record) recordLook(ctx context.Context, l viewing.Look, at time.Time) error {
	var err error
	if s := r.working(); s != nil {
		err = s.recordLooks(ctx, []viewing.Seen{{Look: l, At: at}})
	} else {
		err = r.refusal()
	}
	reserve := r.waits()
	if err == nil || reserve == nil {
		return err
	}
	if kept := reserve.Put(l, at); kept != nil {
		return errors.Join(err, kept)
	}
	return nil
}

// settle records the looks that wait, now and whenever the record has taken
// something in, until ctx ends.
func (c *collector) settle(ctx context.Context, r *record, s *school) error {
	reserve := r.waits()
	if reserve == nil {
		return nil
	}
	for {
		waited := reserve.Waiting()
		err := reserve.Settle(func(looks []viewing.Seen) error { return s.recordLooks(ctx, looks) })
		switch {
		case err != nil && ctx.Err() == nil:
			c.log.Warn("looks at devices wait to be recorded", "school", r.id, "looks", waited, "reason", err)
		case err == nil && waited > 0:
			c.log.Info("looks at devices that waited are recorded", "school", r.id, "looks", waited)
		}
		select {
		case <-r.written:
		case <-ctx.Done():
			return nil
		}
	}
}

// Looks implements web.Looks.
func (c *collector) Looks(ctx context.Context, school posture.SchoolID, q view.LookQuery, now time.Time) (view.LookPage, error) {
	return c.view.Queries().Looks(ctx, school, q, now)
}

// ViewsArguments ask who looked at what. Empty fields select all.
type ViewsArguments struct {
	School string       `json:"school"`
	Device string       `json:"device"` // identifier, host name or tag
	Person string       `json:"person"` // whose laptop it was at the time
	By     string       `json:"by"`
	What   viewing.What `json:"what"`
	From   time.Time    `json:"from,omitzero"` // from then on
	To     time.Time    `json:"to,omitzero"`   // before then
	After  string       `json:"after"`
	Limit  int          `json:"limit"`
}

func (c *collector) viewed(ctx context.Context, a ViewsArguments) (view.LookPage, error) {
	r, err := c.record(a.School)
	if err != nil {
		return view.LookPage{}, err
	}
	if a.What != "" && !a.What.Known() {
		return view.LookPage{}, fmt.Errorf("%.40q is nothing that is looked at", string(a.What))
	}
	q := view.LookQuery{By: a.By, Person: a.Person, What: a.What, From: a.From, To: a.To, After: a.After, Limit: a.Limit}
	if a.Device != "" {
		d, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
		if err != nil {
			return view.LookPage{}, err
		}
		q.Device = d.ID
	}
	return c.Looks(ctx, r.id, q, c.clock.Now())
}

// naming adds to a look the laptops that are named by what is looked at, and calls
// that as the school does, whatever was typed to find it.
func (c *collector) naming(ctx context.Context, school posture.SchoolID, l viewing.Look) (viewing.Look, error) {
	var err error
	switch l.What {
	case viewing.Incident:
		var one view.Incident
		if one, err = c.view.Queries().Incident(ctx, school, l.Name, c.clock.Now()); err == nil {
			l.Name = one.Number
			for _, link := range one.Links {
				if link.What == incident.Device && len(l.Devices) < viewing.MostDevices {
					l.Devices = append(l.Devices, link.Device)
				}
			}
		}
	case viewing.Asset:
		var one view.Registered
		if one, err = c.view.Queries().Asset(ctx, school, l.Name, c.clock.Now()); err == nil {
			l.Name = one.Tag
			if one.Device != "" {
				l.Devices = []posture.DeviceID{one.Device}
			}
		}
	case viewing.Medium:
		var one view.Medium
		if one, err = c.view.Queries().Medium(ctx, school, l.Name, c.clock.Now()); err == nil {
			l.Name = one.Number
		}
	}
	if errors.Is(err, view.ErrNotFound) {
		err = nil // it was called by another name
	}
	return l, err
}

// recordLooks records that somebody looked, all of them or none. Their entries have
// no subject: an envelope stays when the rest is forgotten, and then names nobody.
func (s *school) recordLooks(ctx context.Context, looks []viewing.Seen) error {
	entries := make([]ledger.Entry, 0, len(looks))
	for _, l := range looks {
		var salt [proof.SaltSize]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return fmt.Errorf("salt a look: %w", err)
		}
		section, err := viewing.Encode(l.Look, salt)
		if err != nil {
			return err
		}
		entries = append(entries, roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindLook, "", l.At, section))
	}
	_, err := s.ledger.Append(ctx, entries...)
	return err
}

// shown says of each operation whose record its answer shows. What is not in it is
// not answered.
var shown = map[string]viewing.What{
	"device.list": viewing.Devices, "device.show": viewing.Device, "device.assignments": viewing.Device,
	"breach.list": viewing.Breaches, "trends.changes": viewing.Breaches, "policy.preview": viewing.Breaches, "exemption.list": viewing.Exemptions,
	"same.list": viewing.Devices, "apart.list": viewing.Devices, "renewal.list": viewing.Devices, "enrolment.list": viewing.Devices, "group.list": viewing.Devices,
	"evidence.device": viewing.Evidence, "evidence.school": viewing.Position,
	"register.list": viewing.Register, "register.coverage": viewing.Register, "register.show": viewing.Asset, "register.uses": viewing.Uses,
	"media.list": viewing.Media, "media.find": viewing.Media, "media.show": viewing.Medium, "licence.list": viewing.Devices,
	"incident.list": viewing.Incidents, "incident.show": viewing.Incident,
	"concern.list": viewing.Incidents, "concern.show": viewing.Incidents,
	"dispute.list": viewing.Disputes, "dispute.show": viewing.Disputes, "dispute.raise": viewing.Nobody, "dispute.answer": viewing.Nobody,
	"concern.address": viewing.Nobody, "concern.set-aside": viewing.Nobody,
	"account.log": viewing.SignIns, "account.sessions": viewing.SignIns,
	"ledger.show": viewing.Record, "views.list": viewing.Looks,

	// Of restricted incidents it is recorded for those whom they name, and nowhere
	// else, who looked at them.
	"restricted.list": viewing.Nobody, "restricted.show": viewing.Nobody, "restricted.held": viewing.Nobody, "restricted.act": viewing.Nobody,
	"senior.key": viewing.Nobody, "senior.list": viewing.Nobody,

	// What makes or decides something answers where that is recorded.
	"init": viewing.Nobody, "token.create": viewing.Nobody, "token.list": viewing.Nobody, "token.end": viewing.Nobody, "device.class": viewing.Nobody, "group.add": viewing.Nobody, "group.remove": viewing.Nobody,
	"group.import": viewing.Nobody, "device.assess": viewing.Nobody, "device.assign": viewing.Nobody, "device.revoke": viewing.Nobody,
	"enrolment.approve": viewing.Nobody, "enrolment.refuse": viewing.Nobody, "renewal.approve": viewing.Nobody, "renewal.window": viewing.Nobody, "same.decide": viewing.Nobody, "apart.decide": viewing.Nobody, "breach.decide": viewing.Nobody,
	"exemption.ask": viewing.Nobody, "exemption.decide": viewing.Nobody, "calendar.set": viewing.Nobody, "register.import": viewing.Nobody,
	"register.change": viewing.Nobody, "licence.sign": viewing.Nobody, "incident.change": viewing.Nobody, "view.rebuild": viewing.Nobody,

	// Figures, texts and settings.
	"status": viewing.Nobody, "policy.show": viewing.Nobody, "policy.diff": viewing.Nobody, "policy.publish": viewing.Nobody, "policy.rollback": viewing.Nobody,
	"policy.choose": viewing.Nobody, "policy.progress": viewing.Nobody, "policy.draft": viewing.Nobody, "policy.drafts": viewing.Nobody,
	"policy.approve": viewing.Nobody, "policy.withdraw": viewing.Nobody, "policy.approvers": viewing.Nobody, "calendar.show": viewing.Nobody,
	"trust.show": viewing.Nobody, "trust.join": viewing.Nobody, "trust.leave": viewing.Nobody, "trust.draft": viewing.Nobody, "trust.publish": viewing.Nobody,
	"trust.allow": viewing.Nobody, "trust.end": viewing.Nobody, "report.make": viewing.Nobody, "report.sign": viewing.Nobody, "report.show": viewing.Nobody,
	"report.year.make": viewing.Nobody, "report.year.sign": viewing.Nobody, "report.year.show": viewing.Nobody, "report.year.list": viewing.Nobody,
	"report.list": viewing.Nobody, "report.month": viewing.Nobody, "trends.show": viewing.Nobody, "register.guest-notices": viewing.Nobody, "retention.show": viewing.Nobody, "retention.set": viewing.Nobody,
	"retention.preview": viewing.Nobody, "retention.run": viewing.Nobody, "ledger.verify": viewing.Nobody, "ledger.checkpoint": viewing.Nobody, "ledger.forget": viewing.Nobody,
	"notice.add": viewing.Nobody, "notice.list": viewing.Nobody, "notice.set": viewing.Nobody, "notice.test": viewing.Nobody, "notice.remove": viewing.Nobody, "notice.log": viewing.Nobody,

	// Of requests of people it is recorded for the account whose key was given.
	"subject.list": viewing.Nobody, "subject.show": viewing.Nobody, "subject.people": viewing.Nobody, "subject.sheet": viewing.Nobody,
	"subject.record": viewing.Nobody, "subject.export": viewing.Nobody,

	// Who the school itself is.
	"particulars.show": viewing.Nobody, "particulars.set": viewing.Nobody,
	"update.add": viewing.Nobody, "update.offer": viewing.Nobody, "update.stop": viewing.Nobody, "update.show": viewing.Nobody,

	// Encrypted before it leaves the machine, and read by nobody.
	"backup.take": viewing.Nobody, "backup.note": viewing.Nobody,

	// Who may come in, and not what they did.
	"account.grant": viewing.Nobody, "account.revoke": viewing.Nobody, "health.show": viewing.Nobody,
	"account.create": viewing.Nobody, "account.list": viewing.Nobody, "account.password": viewing.Nobody, "account.remove": viewing.Nobody,
	"account.let-in": viewing.Nobody, "account.drop-second": viewing.Nobody, "account.sign-out": viewing.Nobody, "account.second-step": viewing.Nobody,
	"sign-on.add": viewing.Nobody, "sign-on.list": viewing.Nobody, "sign-on.remove": viewing.Nobody,
	"key.create": viewing.Nobody, "key.list": viewing.Nobody, "key.revoke": viewing.Nobody,
}

// answer carries out an operation of the command line, and has it recorded who
// looks before the answer is given.
func (c *collector) answer(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	result, err := c.do(ctx, operation, arguments)
	if err != nil {
		return result, err
	}
	what, said := shown[operation]
	if !said {
		return nil, fmt.Errorf("%s does not say whose record it shows, so it shows nothing", operation)
	}
	if what == viewing.Nobody {
		return result, nil
	}
	l := viewing.Look{By: operator(), Way: viewing.Command, What: what}
	if what.One() {
		l.Name = nameOf(result)
	}
	schools, err := c.asked(arguments, what)
	if err != nil {
		return nil, err
	}
	for _, id := range schools {
		if err := c.Look(ctx, id, l); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// asked are the schools of whose people an operation shows something. How people
// sign in is no school's alone: it is recorded at each whose record works, so that
// the others do not keep anybody from letting people in again.
func (c *collector) asked(arguments json.RawMessage, what viewing.What) (list []posture.SchoolID, err error) {
	var a struct {
		School string `json:"school"`
	}
	if what != viewing.SignIns {
		if err := json.Unmarshal(arguments, &a); err != nil {
			return nil, fmt.Errorf("read whose record is looked at: %w", err)
		}
		r, err := c.record(a.School)
		if err != nil {
			return nil, err
		}
		return []posture.SchoolID{r.id}, nil
	}
	for _, r := range c.all() {
		if r.working() != nil {
			list = append(list, r.id)
		}
	}
	return list, nil
}

// nameOf names the one thing that an answer is about.
func nameOf(answer any) string {
	switch a := answer.(type) {
	case view.DeviceDetail:
		return string(a.ID)
	case AssignmentList:
		return string(a.Device)
	case EvidenceAnswer:
		return string(a.Device)
	case view.Registered:
		return a.Tag
	case view.Medium:
		return a.Number
	case view.Incident:
		return a.Number
	}
	return ""
}
