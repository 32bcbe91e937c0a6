package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/api"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/restricted"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// unlocked is a senior whose passphrase was right.
type unlocked struct {
	restricted.Secret
	account access.Account
}

// unlock opens a senior's key. Whoever asks must be an account that may be a
// senior at the school, and know the passphrase: the console alone, or a key of
// the API alone, is not enough. Only one key is opened at a time, because that
// takes memory.
func (c *collector) unlock(school posture.SchoolID, account access.Account, passphrase string) (unlocked, error) {
	if err := c.seniors.Trouble(); err != nil {
		return unlocked{}, err
	}
	if !account.May(school, access.BeSenior) {
		return unlocked{}, api.ErrPassphrase
	}
	c.unlocking.Lock()
	defer c.unlocking.Unlock()
	for _, k := range c.seniors.Of(account.ID) {
		secret, err := restricted.Unwrap(k.Wrapped, passphrase)
		if errors.Is(err, restricted.ErrPassphrase) {
			continue
		}
		if err != nil {
			return unlocked{}, err
		}
		return unlocked{secret, account}, nil
	}
	return unlocked{}, api.ErrPassphrase
}

// MakeSeniorKey implements api.Restricted.
func (c *collector) MakeSeniorKey(_ context.Context, _ posture.SchoolID, account access.Account, by string) (api.NewSeniorKey, error) {
	secret, err := restricted.NewSecret()
	if err != nil {
		return api.NewSeniorKey{}, err
	}
	passphrase := restricted.NewPassphrase()
	c.unlocking.Lock()
	wrapped, err := secret.Wrap(passphrase)
	c.unlocking.Unlock()
	if err != nil {
		return api.NewSeniorKey{}, err
	}
	key, now := secret.Key(), c.clock.Now().UTC().Truncate(time.Second)
	err = c.seniors.Add(access.SeniorKey{
		Account: account.ID, Code: key.Code(), Recipient: key.Recipient, Verifier: key.Verifier, Wrapped: wrapped, Made: now, By: by,
	})
	return api.NewSeniorKey{SeniorKey: api.SeniorKey{Name: account.Name, Code: key.Code(), Made: now, By: by}, Passphrase: passphrase}, err
}

// SeniorKeys implements api.Restricted.
func (c *collector) SeniorKeys(_ context.Context, school posture.SchoolID) (api.SeniorKeys, error) {
	list := api.SeniorKeys{Keys: []api.SeniorKey{}}
	for _, account := range c.access.Accounts() {
		if !account.May(school, access.BeSenior) {
			continue
		}
		for _, k := range c.seniors.Of(account.ID) {
			list.Keys = append(list.Keys, api.SeniorKey{Name: account.Name, Code: k.Code, Made: k.Made, By: k.By})
		}
	}
	return list, c.seniors.Trouble()
}

// holder names the account of a key; its code if nobody has it any more.
func (c *collector) holder(code string) string {
	if k, ok := c.seniors.ByCode(code); ok {
		for _, a := range c.access.Accounts() {
			if a.ID == k.Account {
				return a.Name
			}
		}
	}
	return "whose key was " + code
}

// named returns the seniors of the codes that somebody gave, each of another
// account that may be one.
func (c *collector) named(school posture.SchoolID, codes []string) ([]restricted.Named, error) {
	var list []restricted.Named
	for _, given := range codes {
		k, ok := c.seniors.ByCode(restricted.CleanCode(given))
		if !ok {
			return nil, refuse("no senior has the key %.40q: ask them for its code, and do not take it from somebody else", given)
		}
		i := slices.IndexFunc(c.access.Accounts(), func(a access.Account) bool { return a.ID == k.Account && a.May(school, access.BeSenior) })
		if i < 0 {
			return nil, refuse("whose key is %s is no senior of this school", k.Code)
		}
		if newest := c.seniors.Of(k.Account)[0]; newest.Code != k.Code {
			return nil, refuse("%s has made another key since %s: ask them for its code", c.holder(k.Code), k.Code)
		}
		list = append(list, restricted.Named{Account: k.Account, Key: restricted.Key{Recipient: k.Recipient, Verifier: k.Verifier}})
	}
	return list, nil
}

// openCase is a case that is opened by a senior who is named for it.
type openCase struct {
	unlocked
	school *school
	book   *restricted.Book
	id     string
	ring   restricted.Ring
}

func (r *openCase) now() restricted.Case {
	c, _ := r.book.Case(r.id)
	return c
}

// read opens a case for a senior. To whoever is not named it does not exist.
func (c *collector) read(s *school, book *restricted.Book, who unlocked, id string) (*openCase, error) {
	one, ok := book.Case(strings.ToLower(id))
	member, named := one.Member(who.account.ID)
	if !ok || !named {
		return nil, fmt.Errorf("%s has no restricted incident %.40q for which you are named: %w", s.Name, id, view.ErrNotFound)
	}
	if member.Code() != who.Key().Code() {
		return nil, refuse("you are named for %s with the key %s, and this passphrase is that of %s: another senior who is named can name you with it", one.ID, member.Code(), who.Key().Code())
	}
	ring, err := who.Ring(one)
	if err != nil {
		return nil, err
	}
	return &openCase{who, s, book, one.ID, ring}, nil
}

// wrote opens everything that was written about a case.
func (r *openCase) wrote(ctx context.Context) (map[uint64]restricted.Content, error) {
	all := map[uint64]restricted.Content{}
	for _, a := range r.now().Acts {
		if a.Void != "" {
			continue
		}
		act, err := r.school.sealed(ctx, ledger.Index(a.Entry-1))
		if errors.Is(err, ledger.ErrForgotten) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if all[a.Entry], err = r.ring.Read(act); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// look records that somebody looks, and then shows.
func (c *collector) look(ctx context.Context, r *openCase, at string) (restricted.Told, error) {
	if _, err := c.act(ctx, r, restricted.Head{What: restricted.View}, restricted.Content{Looked: at}); err != nil {
		return restricted.Told{}, err
	}
	wrote, err := r.wrote(ctx)
	if err != nil {
		return restricted.Told{}, err
	}
	return restricted.Tell(r.now(), wrote, c.holder, c.clock.Now()), nil
}

// act records an act of a senior as things stand.
func (c *collector) act(ctx context.Context, r *openCase, h restricted.Head, content restricted.Content) (ledger.Index, error) {
	now := r.now()
	h.School, h.Case, h.After, h.By = r.school.ID, r.id, now.After, r.Key().Code()
	content.By = r.account.Name
	if err := errors.Join(now.Refuses(h), content.CheckNew()); err != nil {
		return 0, refuse("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	body, err := r.Make(h, content, now.To)
	if err != nil {
		return 0, err
	}
	return r.school.seal(ctx, body, h.What == restricted.View, c.clock.Now())
}

// restricts has a senior do something about restricted incidents of a school.
func (c *collector) restricts(ctx context.Context, id posture.SchoolID, who api.Unlock, f func(*school, *restricted.Book, unlocked) error) error {
	s, err := c.school(string(id))
	if err != nil {
		return err
	}
	senior, err := c.unlock(s.ID, who.Account, who.Passphrase)
	if err != nil {
		return err
	}
	return s.cases(ctx, func(b *restricted.Book) error { return f(s, b, senior) })
}

// RestrictedList implements api.Restricted.
func (c *collector) RestrictedList(ctx context.Context, id posture.SchoolID, who api.Unlock) (api.RestrictedList, error) {
	list := api.RestrictedList{Incidents: []restricted.Told{}}
	err := c.restricts(ctx, id, who, func(s *school, b *restricted.Book, senior unlocked) error {
		for _, one := range b.Of(senior.account.ID) {
			r, err := c.read(s, b, senior, one.ID)
			if _, refused := errors.AsType[*decision.RefusedError](err); refused {
				continue // named with another key
			}
			if err != nil {
				return err
			}
			told, err := c.look(ctx, r, "list")
			if err != nil {
				return err
			}
			told.Acts, told.Views = []restricted.ActTold{}, []restricted.Look{} // show has them
			list.Incidents = append(list.Incidents, told)
		}
		return nil
	})
	return list, err
}

// RestrictedShow implements api.Restricted.
func (c *collector) RestrictedShow(ctx context.Context, id posture.SchoolID, who api.Unlock, name string) (told restricted.Told, err error) {
	err = c.restricts(ctx, id, who, func(s *school, b *restricted.Book, senior unlocked) error {
		r, err := c.read(s, b, senior, name)
		if err != nil {
			return err
		}
		told, err = c.look(ctx, r, "show")
		return err
	})
	return told, err
}

// RestrictedAct implements api.Restricted.
func (c *collector) RestrictedAct(ctx context.Context, id posture.SchoolID, who api.Unlock, a api.RestrictedAct) (made api.RestrictedMade, err error) {
	if a.Change != nil {
		change := plain(*a.Change)
		a.Change = &change
	}
	if a.Change != nil || a.Do == api.DoHold {
		if err := c.looksUp(ctx, id); err != nil {
			return made, err
		}
	}
	err = c.restricts(ctx, id, who, func(s *school, b *restricted.Book, senior unlocked) error {
		r := &openCase{unlocked: senior, school: s, book: b, id: restricted.NewID()}
		if a.Do != api.DoOpen {
			var err error
			if r, err = c.read(s, b, senior, a.Incident); err != nil {
				return err
			}
		}
		h, content, err := c.meant(ctx, r, a)
		if err != nil {
			return err
		}
		at, err := c.act(ctx, r, h, content)
		made = api.RestrictedMade{ID: r.id, Entry: uint64(at), State: r.now().State}
		if p := r.now().Pending; p != nil {
			made.Asked = p.Asked
		}
		if a.Change != nil && a.Change.Aware != nil {
			by := incident.NewMoment(incident.TellBy(a.Change.Aware.At), a.Change.Aware.Zone)
			made.TellBy, made.Due = &by, incident.Due(by, c.clock.Now())
		}
		return err
	})
	return made, err
}

// looksUp waits until all is shown that was decided before, for what is held or
// linked is looked up in what is shown. If that is behind for long, what is shown
// of it will do: a hold cannot wait.
func (c *collector) looksUp(ctx context.Context, id posture.SchoolID) error {
	s, err := c.school(string(id))
	if err != nil {
		return err
	}
	if err := c.shown(ctx, s); ctx.Err() != nil {
		return err
	}
	return nil
}

// meant is the act that somebody means.
func (c *collector) meant(ctx context.Context, r *openCase, a api.RestrictedAct) (h restricted.Head, content restricted.Content, err error) {
	content.Words = strings.TrimSpace(a.Words)
	if a.Change != nil {
		a.Change.ID, a.Change.Number = r.id, ""
		content.Change = a.Change
		if err := errors.Join(c.happened(*a.Change), c.linkable(ctx, r.school.ID, *a.Change)); err != nil {
			return h, content, err
		}
	}
	switch a.Do {
	case api.DoOpen:
		return c.asksToOpen(r, a, content)
	case api.DoAgree, api.DoDecline:
		p := r.now().Pending
		if p == nil {
			return h, content, refuse("nothing was asked that has no answer yet")
		}
		h = restricted.Head{What: restricted.Decline, Of: p.Digest}
		if a.Do == api.DoDecline {
			return h, content, nil
		}
		h.What = restricted.Agree
		if p.Asked == restricted.Remove {
			h.To, h.Keys, err = r.ring.Turn(slices.DeleteFunc(slices.Clone(r.now().Named), func(n restricted.Named) bool { return n.Account == p.Whom }))
		}
		return h, content, err
	case api.DoRecord:
		if a.Change == nil || slices.Contains([]incident.What{incident.Open, incident.Close, incident.Reopen}, a.Change.What) {
			return h, content, refuse("what is recorded is a note, a lesson, a contact, a decision to tell, a link or a correction")
		}
		return restricted.Head{What: restricted.Record}, content, c.sensible(ctx, r, *a.Change)
	case api.DoClose, api.DoReopen:
		return c.asksToEnd(r, a, content)
	case api.DoHold, api.DoLift:
		return c.holds(ctx, r, a, content)
	case api.DoName:
		return c.names(ctx, r, a, content)
	case api.DoRemove:
		return c.removes(r, a, content)
	}
	return h, content, refuse("%.40q is nothing that is done about a restricted incident", string(a.Do))
}

// asksToOpen is the act that asks to open an incident. Whoever it concerns is
// not named for it.
func (c *collector) asksToOpen(r *openCase, a api.RestrictedAct, content restricted.Content) (h restricted.Head, _ restricted.Content, err error) {
	content.Concerns = a.Concerns
	if a.Change == nil || a.Change.What != incident.Open || content.Words == "" {
		return h, content, refuse("an incident is opened with its kind, when the school became aware, and what happened")
	}
	codes := append([]string{r.Key().Code()}, slices.DeleteFunc(slices.Clone(a.Seniors), func(s string) bool { return restricted.CleanCode(s) == r.Key().Code() })...)
	h = restricted.Head{What: restricted.Ask, Asked: restricted.Open}
	if h.Named, err = c.named(r.school.ID, codes); err != nil {
		return h, content, err
	}
	for _, n := range h.Named {
		if err := c.unconcerned(n, content.Concerns); err != nil {
			return h, content, err
		}
	}
	h.To, h.Keys, err = r.ring.Turn(h.Named)
	return h, content, err
}

// unconcerned refuses to name whoever an incident is about.
func (c *collector) unconcerned(n restricted.Named, concerns []string) error {
	name := c.holder(n.Code())
	if slices.ContainsFunc(concerns, func(s string) bool { return access.SameName(s, name) }) {
		return refuse("%s is whom it concerns, and is not named for it", name)
	}
	return nil
}

// sensible refuses a change that makes no sense as things stand.
func (c *collector) sensible(ctx context.Context, r *openCase, change incident.Change) error {
	wrote, err := r.wrote(ctx)
	if err != nil {
		return err
	}
	return recordable(restricted.Tell(r.now(), wrote, c.holder, c.clock.Now()).Incident, change)
}

// asksToEnd is the act that asks to close an incident, or to open it again.
func (c *collector) asksToEnd(r *openCase, a api.RestrictedAct, content restricted.Content) (restricted.Head, restricted.Content, error) {
	h := restricted.Head{What: restricted.Ask, Asked: restricted.Close}
	want := incident.Close
	if a.Do == api.DoReopen {
		h.Asked, want = restricted.Reopen, incident.Reopen
		content.Change = &incident.Change{What: incident.Reopen, ID: r.id}
	}
	if content.Change == nil || content.Change.What != want || content.Words == "" {
		return h, content, refuse("an incident is closed with its outcome, and closed and opened again with words that say why")
	}
	return h, content, nil
}

// names is the act that names another senior, or one with a new key.
func (c *collector) names(ctx context.Context, r *openCase, a api.RestrictedAct, content restricted.Content) (h restricted.Head, _ restricted.Content, err error) {
	if len(a.Seniors) != 1 {
		return h, content, refuse("one senior is named at a time")
	}
	added, err := c.named(r.school.ID, a.Seniors)
	if err != nil {
		return h, content, err
	}
	wrote, err := r.wrote(ctx)
	if err != nil {
		return h, content, err
	}
	for _, w := range wrote {
		if err := c.unconcerned(added[0], w.Concerns); err != nil {
			return h, content, err
		}
	}
	h = restricted.Head{What: restricted.Name, Named: added}
	content.Name = c.holder(added[0].Code())
	rest := slices.DeleteFunc(slices.Clone(r.now().Named), func(n restricted.Named) bool { return n.Account == added[0].Account })
	h.To, h.Keys, err = r.ring.Turn(append(rest, added...))
	return h, content, err
}

// removes is the act that asks that somebody is named no more.
func (c *collector) removes(r *openCase, a api.RestrictedAct, content restricted.Content) (restricted.Head, restricted.Content, error) {
	h := restricted.Head{What: restricted.Ask, Asked: restricted.Remove}
	if len(a.Seniors) != 1 {
		return h, content, refuse("one senior is removed at a time")
	}
	for _, n := range r.now().Named {
		if n.Code() == restricted.CleanCode(a.Seniors[0]) {
			h.Whom, content.Name = n.Account, c.holder(n.Code())
			return h, content, nil
		}
	}
	return h, content, refuse("nobody is named with the key %.40q", a.Seniors[0])
}

// holds is the act that places a hold, or asks to lift one.
func (c *collector) holds(ctx context.Context, r *openCase, a api.RestrictedAct, content restricted.Content) (restricted.Head, restricted.Content, error) {
	h := restricted.Head{What: restricted.Place, On: &restricted.Subject{Device: a.Device, Medium: a.Medium}}
	if a.Do == api.DoLift {
		h.What, h.Asked = restricted.Ask, restricted.Lift
	}
	if content.Words == "" {
		return h, content, refuse("a hold is placed and lifted with words that say why")
	}
	var err error
	switch {
	case a.Do == api.DoLift:
	case a.Device != "":
		_, err = c.view.Queries().Device(ctx, r.school.ID, a.Device, c.clock.Now())
	case a.Medium != "":
		_, err = c.view.Queries().Medium(ctx, r.school.ID, a.Medium, c.clock.Now())
	}
	if errors.Is(err, view.ErrNotFound) {
		err = refuse("the school knows nothing of %s", h.On.Words())
	}
	return h, content, err
}
