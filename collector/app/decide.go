package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// doors puts the addresses for programs beside the pages.
func (c *collector) doors(pages http.Handler) (http.Handler, error) {
	programs, err := api.New(api.Config{
		Looks: c, Retainer: c, Assigner: c, Trusts: c, Admissions: c, Grouper: c, Reports: c, Months: c, Recorder: c, Particulars: c, Updates: c, Subjects: c,
		Tokens:    c,
		Waiting:   c,
		Physician: c,

		Queries: queries{c.view.Queries(), c}, Decider: c, Terms: c, Keeper: c, Importer: c, Prover: c, Incidents: c, Concerns: c, Disputes: c, Restricted: c, Keys: c.access, Clock: c.clock, Logger: c.log, Policies: c,
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			programs.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	}), nil
}

// Decide implements api.Decider.
func (c *collector) Decide(ctx context.Context, id posture.SchoolID, d decision.Decision) (entry uint64, err error) {
	s, err := c.deciding(ctx, string(id))
	if err != nil {
		return 0, err
	}
	if aboutExemption(d.Kind) {
		if d, err = c.completed(ctx, id, d); err != nil {
			return 0, err
		}
	} else if err := c.decidable(ctx, id, d); err != nil {
		return 0, err
	}
	defer c.show(ctx, s)
	return s.decide(ctx, d, c.clock.Now())
}

// decidable says why nothing can be decided about a breach as things stand.
// What is recorded meanwhile can make a decision void, and never wrong: folding
// it in asks again.
func (c *collector) decidable(ctx context.Context, school posture.SchoolID, d decision.Decision) error {
	list, err := c.breachesOf(ctx, school, d.Breach.Device, d.Breach.Rule, breach.Statuses()...)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(b view.Breach) bool { return keyOf(b) == d.Breach })
	if i < 0 {
		return &decision.RefusedError{Why: "there is no such breach"}
	}
	return refusal(d.Kind, list[i])
}

func refusal(k decision.Kind, b view.Breach) error {
	switch {
	case b.Status == breach.Resolved:
		return &decision.RefusedError{Why: "this breach is resolved already"}
	case k == decision.Resolve && b.Silent:
		return &decision.RefusedError{Why: "nothing is heard of the device, or recorded of its loan, that mends this, so this breach would be open again at once: acknowledge it until something is"}
	case k == decision.Acknowledge && !b.AcknowledgedAt.IsZero():
		return &decision.RefusedError{Why: "this breach is acknowledged already, by " + b.AcknowledgedBy}
	}
	return nil
}

func keyOf(b view.Breach) breach.Key {
	return breach.Key{Device: b.Device, Rule: b.Rule, Kind: b.Subject.Kind, ID: b.Subject.Key}
}

// breachesOf lists the breaches of one rule on one device.
func (c *collector) breachesOf(ctx context.Context, school posture.SchoolID, device posture.DeviceID, rule string, statuses ...breach.Status) ([]view.Breach, error) {
	var list []view.Breach
	q := view.BreachQuery{Device: device, Rule: rule, Statuses: statuses, Limit: 500}
	for {
		page, err := c.view.Queries().Breaches(ctx, school, q, c.clock.Now())
		if err != nil {
			return nil, err
		}
		list = append(list, page.Breaches...)
		if q.After = page.Next; q.After == "" {
			return list, nil
		}
	}
}

// decide records a decision.
func (s *school) decide(ctx context.Context, d decision.Decision, now time.Time) (entry uint64, err error) {
	var salt [proof.SaltSize]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return 0, fmt.Errorf("salt a decision: %w", err)
	}
	section, err := decision.Encode(d, salt)
	if err != nil {
		return 0, err
	}
	subject := d.Breach.Device
	if d.Exemption != nil {
		subject = d.Exemption.Scope.Device
	}
	made := roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, string(subject), now, section)
	at, err := s.append(ctx, made)
	return uint64(at), err
}

// record records a decision of two sections: what stays, and who decided and why.
func (s *school) record(ctx context.Context, now time.Time, sections func(salts [2][proof.SaltSize]byte) ([]proof.Section, error)) (entry uint64, err error) {
	var salts [2][proof.SaltSize]byte
	for i := range salts {
		if _, err := rand.Read(salts[i][:]); err != nil {
			return 0, fmt.Errorf("salt a decision: %w", err)
		}
	}
	made, err := sections(salts)
	if err != nil {
		return 0, err
	}
	at, err := s.append(ctx, roster.Maker{School: s.ID, Intake: intakeName}.Entry(proof.KindDecision, "", now, made...))
	return uint64(at), err
}

// decideBreaches decides about every breach of a rule on a device, or about
// that of one subject.
func (c *collector) decideBreaches(ctx context.Context, a DecideArguments) (DecideAnswer, error) {
	s, err := c.deciding(ctx, a.School)
	if err != nil {
		return DecideAnswer{}, err
	}
	defer c.show(ctx, s)
	device, err := c.device(ctx, ListArguments{School: a.School, Device: a.Device})
	if err != nil {
		return DecideAnswer{}, err
	}
	standing, err := c.breachesOf(ctx, s.ID, device.ID, a.Rule)
	if err != nil {
		return DecideAnswer{}, err
	}
	answer := DecideAnswer{Device: device.ID, Hostname: device.Hostname, Rule: a.Rule, Breaches: []DecidedBreach{}}
	var refused error
	for _, b := range standing {
		if a.Subject != "" && a.Subject != b.Subject.Key {
			continue
		}
		if err := refusal(a.Kind, b); err != nil {
			refused = cmp.Or(refused, err)
			continue
		}
		entry, err := s.decide(ctx, decision.Decision{
			Kind: a.Kind, By: operator(), At: c.clock.Now(), Reason: a.Reason, Breach: keyOf(b),
		}, c.clock.Now())
		if err != nil {
			return answer, err
		}
		answer.Breaches = append(answer.Breaches, DecidedBreach{Subject: b.Subject, Entry: entry})
	}
	switch {
	case len(answer.Breaches) > 0:
		return answer, nil
	case refused != nil:
		return answer, refused
	case a.Subject != "":
		return answer, fmt.Errorf("no breach of %s stands on %s for the subject %q", a.Rule, device.Hostname, a.Subject)
	}
	return answer, fmt.Errorf("no breach of %s stands on %s", a.Rule, device.Hostname)
}

func (c *collector) createKey(_ context.Context, a KeyArguments) (KeyAnswer, error) {
	n := access.NewKey{Account: a.Account, Label: a.Label, Lasts: a.Lasts, By: operator()}
	if a.Role != "" || len(a.Schools) > 0 {
		role, err := access.ParseRole(a.Role)
		if err != nil {
			return KeyAnswer{}, fmt.Errorf("a key for some schools needs the role that it has there: %w", err)
		}
		for _, name := range a.Schools {
			r, err := c.record(name)
			if err != nil {
				return KeyAnswer{}, err
			}
			n.Grants = append(n.Grants, access.Grant{School: r.id, Role: role})
		}
		if len(n.Grants) == 0 {
			n.Grants = []access.Grant{{School: access.EverySchool, Role: role}}
		}
	}
	k, text, err := c.access.CreateKey(n)
	if err != nil {
		return KeyAnswer{}, err
	}
	answer := c.keyAnswer(k)
	answer.Key = text
	return answer, nil
}

func (c *collector) keyAnswer(k access.Key) KeyAnswer {
	a := KeyAnswer{ID: k.ID, Label: k.Label, Grants: k.Grants, Made: k.Made, Ends: k.Ends}
	for _, account := range c.access.Accounts() {
		if account.ID == k.Account {
			a.Account = account.Name
		}
	}
	return a
}

func (c *collector) listKeys() ([]KeyAnswer, error) {
	if err := errors.Join(c.access.Trouble()...); err != nil {
		return nil, err
	}
	list := []KeyAnswer{}
	for _, k := range c.access.Keys() {
		list = append(list, c.keyAnswer(k))
	}
	return list, nil
}

func (c *collector) revokeKey(_ context.Context, a KeyArguments) (KeyAnswer, error) {
	return KeyAnswer{ID: a.ID}, c.access.EndKey(operator(), a.ID)
}
