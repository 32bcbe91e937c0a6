package projection

import (
	"context"
	"slices"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/shared/policy"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// licence takes in a change of a licence. What was signed for is what devices
// are judged by: counting is an act of a person, at a moment. The licence comes
// last: until it is recorded the entry can be folded in again.
func (f *folder) licence(ctx context.Context, tx *view.Tx, r ledger.Record, c register.Change, made register.Made) error {
	was, err := tx.Licence(c.Tag)
	if err != nil {
		return err
	}
	next, err := was.Take(c, made)
	if err != nil || next.Entry == was.Entry {
		return err
	}
	if c.What == register.SignLicence {
		if err := f.signed(ctx, tx, r, was, next); err != nil {
			return err
		}
	}
	return tx.PutLicence(next)
}

// signed judges the devices that were counted, now or the last time.
func (f *folder) signed(ctx context.Context, tx *view.Tx, r ledger.Record, was, next register.Licence) error {
	product := register.Key(next.Product)
	counted := map[posture.DeviceID]bool{} // whether too many are installed
	if was.Signed != nil {
		for _, d := range was.Signed.Devices {
			counted[d.Device] = false
		}
	}
	over := next.Signed.Over()
	listed := map[posture.DeviceID]bool{}
	for _, d := range next.Signed.Devices {
		listed[d.Device], counted[d.Device] = true, over && d.Excluded == ""
	}
	ids := make([]posture.DeviceID, 0, len(counted))
	for id := range counted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		products, _, err := tx.Products(id)
		if err != nil {
			return err
		}
		if products == nil {
			products = view.Products{}
		}
		if listed[id] {
			products[product] = counted[id]
		} else {
			delete(products, product)
		}
		if err := tx.PutProducts(id, products); err != nil {
			return err
		}
		if err := f.judgeAgain(ctx, tx, r, id); err != nil {
			return err
		}
	}
	return nil
}

// judgeAgain judges a device by the school's rules.
func (f *folder) judgeAgain(ctx context.Context, tx *view.Tx, r ledger.Record, id posture.DeviceID) error {
	was, known, err := tx.Device(id)
	if err != nil || !known || was.ReplacedBy != "" {
		return err
	}
	j, err := f.judge(ctx, tx, was, moment(r.Envelope.ReceivedAt), order(r.Index, 0))
	if err != nil {
		return err
	}
	return j.again(was)
}

// licences counts the products on the device of which more are installed than
// were bought, as they were last signed for.
func (j *judgement) licences() (a posture.Answer[policy.Licences], err error) {
	products, ok, err := j.tx.Products(j.row.ID)
	if err != nil || !ok {
		return a, err
	}
	n := int64(0)
	for _, over := range products {
		if over {
			n++
		}
	}
	return answer(j.received, policy.Licences{Over: posture.Read(n)}), nil
}

// guestNotice takes in what guests are told from now on.
func (f *folder) guestNotice(tx *view.Tx, c register.Change, made register.Made) error {
	was, err := tx.GuestNotice(c.Tag)
	if err != nil {
		return err
	}
	next, err := was.Take(c, made)
	if err != nil || next.Entry == was.Entry {
		return err
	}
	return tx.PutGuestNotice(next)
}

// use takes in that somebody acknowledged the rules of use. Once the name is
// forgotten it may be that of anybody who is named.
func (f *folder) use(ctx context.Context, tx *view.Tx, r ledger.Record, c register.Change, made register.Made) error {
	if c.Use.Named && made.Person == "" {
		return f.somebodys(ctx, tx, r, made)
	}
	at := made.At
	if !c.When.IsZero() {
		at = c.When
	}
	holder := register.HolderKey(c.Use.Role, made.Person)
	was, _, err := tx.Use(holder)
	if err != nil || made.Entry < was.Entry {
		return err
	}
	next := register.Use{Role: c.Use.Role, Person: made.Person, At: at, Version: c.Use.Version, By: made.By, Entry: made.Entry}
	if err := tx.PutUse(holder, next); err != nil {
		return err
	}
	assets, err := tx.HeldBy(holder)
	if err != nil {
		return err
	}
	return f.judgeHeld(ctx, tx, r, assets)
}

// somebodys takes in that somebody acknowledged the rules of use whose name was
// forgotten: of all who are named, and of whom nothing else is recorded, it is not
// known any more whether they did.
func (f *folder) somebodys(ctx context.Context, tx *view.Tx, r ledger.Record, made register.Made) error {
	if last, err := tx.ForgottenUse(); err != nil || made.Entry <= last {
		return err
	}
	if err := tx.PutForgottenUse(made.Entry); err != nil {
		return err
	}
	assets, err := tx.HeldByName()
	if err != nil {
		return err
	}
	return f.judgeHeld(ctx, tx, r, assets)
}

func (f *folder) judgeHeld(ctx context.Context, tx *view.Tx, r ledger.Record, assets []register.Asset) error {
	for _, a := range assets {
		if a.Device == "" {
			continue
		}
		if err := f.judgeAgain(ctx, tx, r, a.Device); err != nil {
			return err
		}
	}
	return nil
}

// acceptableUse says whether whoever has an asset acknowledged the rules of
// use. Once it is forgotten who that is, or whose an acknowledgement was, nobody
// can tell.
func (j *judgement) acceptableUse(a register.Asset) (out posture.Answer[policy.AcceptableUse], err error) {
	if a.Held == nil {
		return out, nil
	}
	if a.Held.Named && a.Held.Person == "" {
		return answer(j.received, policy.AcceptableUse{Acknowledged: posture.Unread[bool](posture.NotVisible)}), nil
	}
	_, ok, err := j.tx.Use(register.HolderKey(a.Held.Role, a.Held.Person))
	if err == nil && !ok && a.Held.Person != "" {
		var last uint64
		if last, err = j.tx.ForgottenUse(); err == nil && last > 0 {
			return answer(j.received, policy.AcceptableUse{Acknowledged: posture.Unread[bool](posture.NotVisible)}), nil
		}
	}
	return answer(j.received, policy.AcceptableUse{Acknowledged: posture.Read(ok)}), err
}
