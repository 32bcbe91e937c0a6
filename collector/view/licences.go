package view

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// programsName is the section of a report that lists programs.
const programsName = "programs"

func licenceKey(school posture.SchoolID, product string) []byte {
	return text(key(school, famLicence), register.Key(product))
}

// Licence returns the licence of a product; without one it has no product.
func (tx *Tx) Licence(product string) (l register.Licence, err error) {
	_, err = tx.getJSON(licenceKey(tx.school, product), &l)
	return l, err
}

// PutLicence records a licence.
func (tx *Tx) PutLicence(l register.Licence) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(licenceKey(tx.school, l.Product), l)
}

// Products are the products that were installed on a device when they were
// signed for, by key, and whether more were installed than were bought.
type Products map[string]bool

// Products returns those of a device; ok is false if none was ever signed for.
func (tx *Tx) Products(id posture.DeviceID) (p Products, ok bool, err error) {
	ok, err = tx.getJSON(text(key(tx.school, famProducts), string(id)), &p)
	return p, ok, err
}

// PutProducts replaces them.
func (tx *Tx) PutProducts(id posture.DeviceID, p Products) error {
	if err := tx.room(roomy); err != nil {
		return err
	}
	return tx.putJSON(text(key(tx.school, famProducts), string(id)), p)
}

// LicenceLine is a product with what is installed of it now.
type LicenceLine struct {
	register.Licence
	Installed int                 `json:"installed"` // devices that count
	Uncounted int                 `json:"uncounted"` // devices that have it and do not count
	Over      bool                `json:"over"`      // more than were bought
	Now       register.Reconciled `json:"now"`       // with as many devices as were asked for
	SignedFor int                 `json:"-"`         // devices that counted when it was last signed
}

// LicenceList are the products of which a school bought licences.
type LicenceList struct {
	Licences []LicenceLine `json:"licences"`
}

// LicenceQuery selects licences and what is listed with them.
type LicenceQuery struct {
	Product string // one; "": all
	// Devices is how many devices are listed with each, of those that count and of
	// those that do not, the first by tag; register.AllDevices lists all.
	Devices int
}

// Licences compares each product with what is installed now. It reads what every
// device last said of its programs, one after another.
func (q *Queries) Licences(ctx context.Context, school posture.SchoolID, ask LicenceQuery, now time.Time) (LicenceList, error) {
	list := LicenceList{Licences: []LicenceLine{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		err := r.eachLicence(ask.Product, func(l register.Licence) {
			line := LicenceLine{Licence: l}
			if l.Signed != nil {
				line.SignedFor = l.Signed.Installed()
				if ask.Devices < register.AllDevices {
					signed := *l.Signed
					signed.Devices = nil
					line.Signed = &signed
				}
			}
			list.Licences = append(list.Licences, line)
		})
		if err != nil {
			return err
		}
		if ask.Product != "" && len(list.Licences) == 0 {
			return fmt.Errorf("licence %.40q of school %s: %w", ask.Product, school, ErrNotFound)
		}
		return r.reconcile(ctx, list.Licences, ask.Devices, q.view.facts)
	})
	return list, err
}

// Signed calls f with the last reconciliation of each product that was signed, and
// returns of how many products licences were bought.
func (q *Queries) Signed(ctx context.Context, school posture.SchoolID, now time.Time, f func(register.Reconciled)) (products int, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		return r.eachLicence("", func(l register.Licence) {
			if products++; l.Signed != nil {
				f(*l.Signed)
			}
		})
	})
	return products, err
}

func (r *reader) eachLicence(product string, f func(register.Licence)) error {
	return r.each(key(r.school.ID, famLicence), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var l register.Licence
		if err := item.Value(func(data []byte) error { return unmarshal(data, &l) }); err != nil {
			return false, fmt.Errorf("read licence %q: %w", k, err)
		}
		if product == "" || register.Key(product) == register.Key(l.Product) {
			f(l)
		}
		return true, nil
	})
}

// Licence returns the licence of a product.
func (q *Queries) Licence(ctx context.Context, school posture.SchoolID, product string, now time.Time) (l register.Licence, err error) {
	err = q.read(ctx, school, now, func(r *reader) error {
		ok, err := r.getJSON(licenceKey(school, product), &l)
		if err == nil && !ok {
			err = fmt.Errorf("licence %.40q of school %s: %w", product, school, ErrNotFound)
		}
		return err
	})
	return l, err
}

// reconcile counts, for each line, the devices that have the product, and lists
// some of them.
func (r *reader) reconcile(ctx context.Context, lines []LicenceLine, devices int, source FactSource) error {
	tallies, unread := make([]*register.Tally, len(lines)), make([]int, len(lines))
	for i, l := range lines {
		tallies[i] = l.Tally(devices)
	}
	err := r.each(key(r.school.ID, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var row DeviceRow
		if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
			return false, fmt.Errorf("read device %q: %w", k, err)
		}
		programs, err := r.programs(ctx, row, source)
		if err != nil {
			return false, err
		}
		o, err := r.owner(row)
		if err != nil {
			return false, err
		}
		for i, l := range lines {
			switch {
			case slices.ContainsFunc(programs.Items, func(p posture.Program) bool { return l.Needs(p.Name) }):
				tallies[i].Add(o)
			case !programs.Complete() && !o.Revoked && o.Retired == "" && o.Now == "":
				unread[i]++
			}
		}
		return true, nil
	})
	for i := range lines {
		l := &lines[i]
		l.Now = tallies[i].Reconciled(unread[i], r.now)
		l.Installed, l.Uncounted = tallies[i].Counted()
		l.Over = l.Installed > l.Bought
	}
	return err
}

// programs reads what a device last said of its programs.
func (r *reader) programs(ctx context.Context, row DeviceRow, source FactSource) (posture.Answer[posture.Program], error) {
	places := slices.DeleteFunc(slices.Clone(row.Places), func(p Place) bool { return p.Name != programsName })
	if source == nil || len(places) == 0 {
		return posture.Answer[posture.Program]{}, nil
	}
	facts, _, err := source.Facts(ctx, r.school.ID, places)
	if err != nil {
		err = fmt.Errorf("read the programs of device %s: %w", row.ID, err)
	}
	return facts.Programs, err
}

// owner says whose a device is: of the asset that it is, or was before that was
// installed again.
func (r *reader) owner(row DeviceRow) (register.Owner, error) {
	o := register.Owner{Device: row.ID, Revoked: !row.RevokedAt.IsZero()}
	a, err := r.asset(row.AssetTag)
	if err == nil && a.Device != row.ID {
		if a, err = r.after(row.ID); err == nil {
			o.Now, o.NowTag = a.Device, a.Tag
		}
	}
	if err != nil || a.Device == "" {
		return o, err
	}
	o.Tag = a.Tag
	if a.Out(r.now) {
		o.Retired = a.Retired
	}
	return o, nil
}

// asset returns the asset of a tag; without one, or if there is none, it is empty.
func (r *reader) asset(tag string) (a register.Asset, err error) {
	if tag != "" {
		_, err = r.getJSON(assetKey(r.school.ID, tag), &a)
	}
	return a, err
}

// after returns the asset that a device was before it was installed again, as
// another device; if there are some, the first by tag, and if none, it is empty.
func (r *reader) after(id posture.DeviceID) (register.Asset, error) {
	var tags []string
	if _, err := r.getJSON(wasKey(r.school.ID, id), &tags); err != nil {
		return register.Asset{}, err
	}
	for _, tag := range tags {
		a, err := r.asset(tag)
		if err != nil || a.Device != "" && slices.Contains(a.Before, id) {
			return a, err
		}
	}
	return register.Asset{}, nil
}
