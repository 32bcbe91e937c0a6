package app

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/notify"
	"github.com/caretaker-school/caretaker/collector/retention"
	"github.com/caretaker-school/caretaker/collector/rulebook"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/web"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// desk is what the pages of settings ask for and change: the operations of the
// command line, in the pages' own words.
type desk struct{ *collector }

// TokenFor implements web.TokenDesk.
func (d desk) TokenFor(ctx context.Context, id posture.SchoolID, by string, n web.NewToken) (string, time.Time, error) {
	s, err := d.school(string(id))
	if err != nil {
		return "", time.Time{}, err
	}
	a, err := d.makeToken(ctx, s, TokenArguments{Uses: n.Uses, Lifetime: n.Lasts, Ownership: n.Class, PersonalUse: n.PersonalUse, Groups: n.Groups, Way: n.Way}, by)
	return a.Token, a.Ends, err
}

// Calendar implements web.CalendarDesk.
func (d desk) Calendar(ctx context.Context, id posture.SchoolID, now time.Time) (view.Calendar, error) {
	return d.view.Queries().Calendar(ctx, id, now)
}

// lastForgotten is how many purges a page lists.
const lastForgotten = 24

// Keeping implements web.RetentionDesk.
func (d desk) Keeping(ctx context.Context, id posture.SchoolID) (web.Keeping, error) {
	known, err := d.Retention(ctx, id)
	if err != nil {
		return web.Keeping{}, err
	}
	var k web.Keeping
	for _, i := range known.Items {
		item := web.KeptItem{Item: i.Item, What: i.What, From: i.From, Time: i.Time, Usual: i.Usual, Least: i.Least, Most: i.Most}
		if c := i.Chosen; c != nil {
			item.By, item.Reason, item.At = c.By, c.Reason, c.At
			if k.Since.IsZero() || c.At.Before(k.Since) {
				k.Since = c.At
			}
		}
		k.Items = append(k.Items, item)
	}
	for _, p := range slices.Backward(known.Purges) {
		if len(k.Last) == lastForgotten {
			break
		}
		k.Last = append(k.Last, forgetting(p))
	}
	return k, nil
}

func forgetting(p api.Purge) web.Forgetting {
	f := web.Forgetting{At: p.At, Class: p.Class, Month: p.Month, Forgotten: p.Forgotten, Kept: p.Kept, By: p.By, Reason: p.Reason}
	for _, t := range retention.Terms() {
		if string(t.Item) == p.Item {
			f.What = t.What
		}
	}
	return f
}

// WouldForget implements web.RetentionDesk.
func (d desk) WouldForget(ctx context.Context, id posture.SchoolID, on time.Time, times map[string]string) ([]web.Forgetting, error) {
	s, err := d.school(string(id))
	if err != nil {
		return nil, err
	}
	asked := retention.Times{}
	if len(times) > 0 {
		if asked, err = readTimes(times); err != nil {
			return nil, err
		}
	}
	purges, err := d.retainBy(ctx, s, on, asked)
	list := []web.Forgetting{}
	for _, p := range purges {
		f := forgetting(p)
		f.At, f.By = time.Time{}, "" // nobody has
		list = append(list, f)
	}
	return list, err
}

// retainBy counts what would be forgotten at a moment if some times were others.
func (c *collector) retainBy(ctx context.Context, s *school, now time.Time, times retention.Times) (purges []api.Purge, err error) {
	survey, err := retention.Read(ctx, s.ledger)
	if err != nil {
		return nil, err
	}
	for i, span := range times {
		survey.Times[i] = span
	}
	steps, err := survey.Steps(ctx, s.ledger, s.roster, now)
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		p, err := c.forgetStep(ctx, s, step, true)
		if errors.Is(err, ledger.ErrNothingToForget) {
			continue
		}
		if err != nil {
			return nil, err
		}
		purges = append(purges, p)
	}
	return purges, nil
}

// Told implements web.NoticeDesk.
func (d desk) Told(_ context.Context, id posture.SchoolID) (web.Told, error) {
	known := d.listNotices()
	t := web.Told{Trouble: known.Trouble, Roles: notify.Roles(), Server: web.NoticeServer{
		Pages: known.Pages, Digest: known.Digest, Mail: known.Mail.Address, Protection: string(known.Mail.TLS), From: known.Mail.From, User: known.Mail.User,
	}}
	for _, ch := range known.Channels {
		if ch.School != id && ch.School != access.EverySchool {
			continue
		}
		way := web.Way{ID: ch.ID, Kind: string(ch.Kind), To: ch.To, Role: ch.Role, Every: ch.School == access.EverySchool, Delivered: ch.Delivered, Last: ch.LastDelivery}
		if ch.Attempts > 0 {
			way.Failing, way.Next, way.Why = ch.Failing, ch.Next, ch.Why
		}
		t.Ways = append(t.Ways, way)
	}
	return t, nil
}

// AddWay implements web.NoticeDesk.
func (d desk) AddWay(_ context.Context, id posture.SchoolID, n web.NewWay) error {
	_, err := d.notices.Add(notify.Channel{Kind: notify.Kind(n.Kind), School: id, Role: n.Role, Address: n.Address, Secret: n.Secret})
	return asked(err)
}

// EndWay implements web.NoticeDesk.
func (d desk) EndWay(_ context.Context, id string) error {
	_, err := d.notices.Remove(id)
	return asked(err)
}

// TestWay implements web.NoticeDesk.
func (d desk) TestWay(ctx context.Context, id string) error {
	_, err := d.notices.Test(ctx, id)
	return asked(err)
}

// SetServer implements web.NoticeDesk. A password that is not given again stays.
func (d desk) SetServer(ctx context.Context, n web.NoticeServer) error {
	protection := notify.Protection(n.Protection)
	if n.Mail == "" {
		n.From, n.User, protection = "", "", ""
	}
	set := NoticeSettings{Pages: &n.Pages, Digest: &n.Digest, MailServer: &n.Mail, MailTLS: &protection, MailFrom: &n.From, MailUser: &n.User}
	if n.Password != "" || n.User == "" {
		set.MailPassword = &n.Password
	}
	_, err := d.setNotices(ctx, set)
	return asked(err)
}

// asked turns what is wrong with what somebody asked for into words for them.
// What is wrong with the disk is not theirs.
func asked(err error) error {
	if _, disk := errors.AsType[*fs.PathError](err); err == nil || disk {
		return err
	}
	return &decision.RefusedError{Why: plainly(err)}
}

// Choices implements web.SetUpDesk.
func (d desk) Choices(ctx context.Context, id posture.SchoolID) (web.Choices, error) {
	s, err := d.school(string(id))
	if err != nil {
		return web.Choices{}, err
	}
	if s.roster.Policy() == 0 { // nobody has chosen: what is shipped holds
		shipped, _, err := rulebook.Baseline()
		if err != nil {
			return web.Choices{}, err
		}
		return choicesOf(shipped), nil
	}
	p, err := s.policy(ctx, 0)
	if err != nil {
		return web.Choices{}, err
	}
	c := choicesOf(p.policy)
	c.Policy = p.policy.Number
	return c, nil
}

// choicesOf are the choices that a policy makes.
func choicesOf(p *policy.Policy) (c web.Choices) {
	for _, parameter := range p.Parameters {
		switch parameter.Name {
		case "media":
			c.Media = parameter.Text
		case "programs":
			c.Programs = parameter.Text
		case "portablePrograms":
			c.Portable = parameter.Text
		case "approvedAntivirus":
			c.Antivirus = parameter.Texts
		}
	}
	return c
}

// Gone implements web.SetUpDesk.
func (d desk) Gone() error { return d.pruneSaved() }

// free is what is free on the disk of the data folder; nil if that is not known.
func (c *collector) free() *uint64 {
	free, err := durable.Free(c.data)
	if err != nil {
		return nil
	}
	return &free
}
