package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// do carries out one operation of the command line.
func (c *collector) do(ctx context.Context, operation string, arguments json.RawMessage) (any, error) {
	switch operation {
	case "init":
		return within(ctx, arguments, c.init)
	case "status":
		return c.status(ctx)
	case "token.create":
		return within(ctx, arguments, c.createToken)
	case "account.create":
		return within(ctx, arguments, c.createAccount)
	case "account.list":
		return c.accounts(), nil
	case "policy.show":
		return within(ctx, arguments, c.showPolicy)
	case "policy.publish":
		return within(ctx, arguments, c.publish)
	case "policy.rollback":
		return within(ctx, arguments, c.rollback)
	case "policy.diff":
		return within(ctx, arguments, c.diffPolicies)
	case "policy.preview", "policy.progress", "policy.draft", "policy.drafts", "policy.approve", "policy.withdraw", "policy.approvers":
		return c.doPolicy(ctx, operation, arguments)
	case "device.list":
		return within(ctx, arguments, c.devices)
	case "device.show":
		return within(ctx, arguments, c.device)
	case "device.assess":
		return within(ctx, arguments, c.assess)
	case "breach.list":
		return within(ctx, arguments, c.breaches)
	case "breach.decide":
		return within(ctx, arguments, c.decideBreaches)
	case "exemption.ask":
		return within(ctx, arguments, c.askExemption)
	case "exemption.decide":
		return within(ctx, arguments, c.decideExemption)
	case "exemption.list":
		return within(ctx, arguments, c.exemptions)
	case "calendar.set":
		return within(ctx, arguments, c.setsCalendar)
	case "calendar.show":
		return within(ctx, arguments, c.calendar)
	case "evidence.device":
		return within(ctx, arguments, c.evidence)
	case "evidence.school":
		return within(ctx, arguments, c.position)
	case "register.import":
		return within(ctx, arguments, c.importDevices)
	case "register.change":
		return within(ctx, arguments, c.changeRegister)
	case "register.list":
		return within(ctx, arguments, c.assets)
	case "register.show":
		return within(ctx, arguments, c.asset)
	case "media.list":
		return within(ctx, arguments, c.media)
	case "media.show":
		return within(ctx, arguments, c.medium)
	case "media.find":
		return within(ctx, arguments, c.findMedia)
	case "licence.list":
		return within(ctx, arguments, c.licences)
	case "licence.sign":
		return within(ctx, arguments, c.signLicence)
	case "register.uses":
		return within(ctx, arguments, c.uses)
	case "register.coverage":
		return within(ctx, arguments, c.coverage)
	case "incident.change":
		return within(ctx, arguments, c.changeIncident)
	case "incident.list":
		return within(ctx, arguments, c.incidents)
	case "incident.show":
		return within(ctx, arguments, c.incident)
	case "key.create":
		return within(ctx, arguments, c.createKey)
	case "key.list":
		return c.listKeys(), nil
	case "key.revoke":
		return within(ctx, arguments, c.revokeKey)
	case "notice.add":
		return within(ctx, arguments, c.addNotice)
	case "notice.list":
		return c.listNotices(), nil
	case "notice.set":
		return within(ctx, arguments, c.setNotices)
	case "notice.test":
		return within(ctx, arguments, c.testNotice)
	case "notice.remove":
		return within(ctx, arguments, c.removeNotice)
	case "notice.log":
		return c.notices.Log(), nil
	case "ledger.verify":
		return within(ctx, arguments, c.verify)
	case "ledger.checkpoint":
		return within(ctx, arguments, c.checkpoint)
	case "ledger.show":
		return within(ctx, arguments, c.entries)
	case "ledger.forget":
		return within(ctx, arguments, c.forget)
	case "view.rebuild":
		return c.rebuild(ctx)
	}
	return nil, fmt.Errorf("this collector knows no operation %q", operation)
}

// within decodes the arguments of an operation and carries it out.
func within[A, R any](ctx context.Context, arguments json.RawMessage, do func(context.Context, A) (R, error)) (any, error) {
	return with(arguments, func(a A) (R, error) { return do(ctx, a) })
}

func with[A, R any](arguments json.RawMessage, do func(A) (R, error)) (any, error) {
	var a A
	if err := json.Unmarshal(arguments, &a); err != nil {
		return nil, fmt.Errorf("read the arguments: %w", err)
	}
	return do(a)
}

func (c *collector) init(ctx context.Context, a InitArguments) (InitAnswer, error) {
	c.founding.Lock()
	defer c.founding.Unlock()
	s, err := enroll.CreateSchool(c.data, a.School, c.clock.Now())
	if err != nil {
		return InitAnswer{}, err
	}
	key, err := s.Key.Verifier()
	if err != nil {
		return InitAnswer{}, err
	}
	r := &record{id: s.ID, name: s.Name, found: s}
	c.open(ctx, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
	slices.SortFunc(c.records, func(a, b *record) int { return strings.Compare(string(a.id), string(b.id)) })
	if c.begin != nil {
		c.begin(r)
	}
	return InitAnswer{School: s.ID, Name: s.Name, Key: key.String(), Serving: c.running}, nil
}

func (c *collector) createToken(ctx context.Context, a TokenArguments) (TokenAnswer, error) {
	s, err := c.school(a.School)
	if err != nil {
		return TokenAnswer{}, err
	}
	if len(a.Addresses) == 0 {
		address, err := c.address()
		if err != nil {
			return TokenAnswer{}, err
		}
		a.Addresses = []string{address}
	}
	now := c.clock.Now()
	t, err := enroll.CreateToken(ctx, s.School, s.ledger, enroll.NewToken{
		Addresses: a.Addresses, Uses: a.Uses, Lasts: a.Lifetime, Ownership: a.Ownership, By: operator(), Intake: intakeName,
	}, now)
	if err != nil {
		return TokenAnswer{}, err
	}
	if err := s.roster.CatchUp(ctx); err != nil {
		return TokenAnswer{}, err
	}
	recorded, _, ok := s.roster.Token(t.ID)
	if !ok {
		return TokenAnswer{}, errors.New("the token was made and is not in the roster")
	}
	return TokenAnswer{Token: t.String(), ID: t.ID, Uses: recorded.Uses, Ends: recorded.Ends, Ownership: recorded.Ownership}, nil
}

// address is where laptops reach this collector: where it last served, under
// this machine's name if it served on every address.
func (c *collector) address() (string, error) {
	if c.served.Agents == "" {
		return "", errors.New("where laptops reach this collector is not known before it has served once: give it with --address HOST:PORT")
	}
	host, port, err := net.SplitHostPort(c.served.Agents)
	if err != nil {
		return "", fmt.Errorf("read where the collector last served: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("read this machine's name: %w", err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// operator names the account of the system that called, for the record.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return "console"
	}
	return "console:" + u.Username
}

func (c *collector) createAccount(ctx context.Context, a AccountArguments) (AccountAnswer, error) {
	role, err := access.ParseRole(a.Role)
	if err != nil {
		return AccountAnswer{}, err
	}
	n := access.NewAccount{Name: a.Name}
	answer := AccountAnswer{Name: a.Name, Role: string(role)}
	for _, name := range a.Schools {
		r, err := c.record(name)
		if err != nil {
			return AccountAnswer{}, err
		}
		n.Grants = append(n.Grants, access.Grant{School: r.id, Role: role})
		answer.Schools = append(answer.Schools, r.id)
	}
	if len(n.Grants) == 0 {
		n.Grants = []access.Grant{{School: access.EverySchool, Role: role}}
	}
	for _, r := range c.all() {
		n.Context = append(n.Context, r.name)
	}
	_, password, err := c.access.CreateAccount(ctx, n)
	if err != nil {
		return AccountAnswer{}, err
	}
	answer.Password = password
	return answer, nil
}

func (c *collector) accounts() []AccountAnswer {
	answer := []AccountAnswer{}
	for _, account := range c.access.Accounts() {
		one := AccountAnswer{Name: account.Name}
		for _, g := range account.Grants {
			one.Role = string(g.Role)
			if g.School != access.EverySchool {
				one.Schools = append(one.Schools, g.School)
			}
		}
		answer = append(answer, one)
	}
	return answer
}

func (c *collector) devices(ctx context.Context, a ListArguments) (view.DevicePage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.DevicePage{}, err
	}
	return c.view.Queries().Devices(ctx, s.id, view.DeviceQuery{Search: a.Search, After: a.After, Limit: a.Limit}, c.clock.Now())
}

// device shows a device by identifier, or by a host name that only one has.
func (c *collector) device(ctx context.Context, a ListArguments) (view.DeviceDetail, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.DeviceDetail{}, err
	}
	now := c.clock.Now()
	d, err := c.view.Queries().Device(ctx, s.id, posture.DeviceID(a.Device), now)
	if !errors.Is(err, view.ErrNotFound) {
		return d, err
	}
	page, err := c.view.Queries().Devices(ctx, s.id, view.DeviceQuery{Search: a.Device, Limit: 500}, now)
	if err != nil {
		return view.DeviceDetail{}, err
	}
	var named []posture.DeviceID
	for _, d := range page.Devices {
		if strings.EqualFold(d.Hostname, a.Device) {
			named = append(named, d.ID)
		}
	}
	switch len(named) {
	case 0:
		return view.DeviceDetail{}, fmt.Errorf("%s has no device %q", s.name, a.Device)
	case 1:
		return c.view.Queries().Device(ctx, s.id, named[0], now)
	}
	return view.DeviceDetail{}, fmt.Errorf("%d devices are named %q: give the identifier of one", len(named), a.Device)
}

// assess asks a connected device for an assessment at once.
func (c *collector) assess(ctx context.Context, a ListArguments) (AssessAnswer, error) {
	s, err := c.record(a.School)
	if err != nil {
		return AssessAnswer{}, err
	}
	d, err := c.device(ctx, a)
	if err != nil {
		return AssessAnswer{}, err
	}
	if c.door == nil {
		return AssessAnswer{}, errors.New("no collector runs on this data folder, so no laptop is connected: start it with serve")
	}
	if err := c.door.AssessNow(s.id, d.ID, operator()); err != nil {
		return AssessAnswer{}, fmt.Errorf("ask %s to assess itself: %w", d.Hostname, err)
	}
	return AssessAnswer{Device: d.ID, Hostname: d.Hostname}, nil
}

func (c *collector) breaches(ctx context.Context, a ListArguments) (view.BreachPage, error) {
	s, err := c.record(a.School)
	if err != nil {
		return view.BreachPage{}, err
	}
	return c.view.Queries().Breaches(ctx, s.id, view.BreachQuery{Device: posture.DeviceID(a.Device), After: a.After, Limit: a.Limit}, c.clock.Now())
}
