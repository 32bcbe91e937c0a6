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
	Over      bool                `json:"over"`      // more than were bought
	Now       register.Reconciled `json:"now"`
}

// LicenceList are the products of which a school bought licences.
type LicenceList struct {
	Licences []LicenceLine `json:"licences"`
}

// Licences compares each product, or one if its name is given, with what is
// installed now. It reads what every device last said of its programs.
func (q *Queries) Licences(ctx context.Context, school posture.SchoolID, product string, now time.Time) (LicenceList, error) {
	list := LicenceList{Licences: []LicenceLine{}}
	err := q.read(ctx, school, now, func(r *reader) error {
		var licences []register.Licence
		err := r.each(key(school, famLicence), nil, true, func(k []byte, item *badger.Item) (bool, error) {
			var l register.Licence
			if err := item.Value(func(data []byte) error { return unmarshal(data, &l) }); err != nil {
				return false, fmt.Errorf("read licence %q: %w", k, err)
			}
			if product == "" || register.Key(product) == register.Key(l.Product) {
				licences = append(licences, l)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		if product != "" && len(licences) == 0 {
			return fmt.Errorf("licence %.40q of school %s: %w", product, school, ErrNotFound)
		}
		list.Licences, err = r.reconcile(ctx, licences, q.view.facts)
		return err
	})
	return list, err
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

// reconcile counts, for each licence, the devices that have the product.
func (r *reader) reconcile(ctx context.Context, licences []register.Licence, source FactSource) ([]LicenceLine, error) {
	owners, err := r.owners()
	if err != nil {
		return nil, err
	}
	has := make([][]register.Owner, len(licences))
	unread := make([]int, len(licences))
	err = r.each(key(r.school.ID, famDevice), nil, true, func(k []byte, item *badger.Item) (bool, error) {
		var row DeviceRow
		if err := item.Value(func(data []byte) error { return decode(data, &row) }); err != nil {
			return false, fmt.Errorf("read device %q: %w", k, err)
		}
		programs, err := r.programs(ctx, row, source)
		if err != nil {
			return false, err
		}
		o := owners[row.ID]
		o.Device, o.Revoked = row.ID, !row.RevokedAt.IsZero()
		for i, l := range licences {
			switch {
			case slices.ContainsFunc(programs.Items, func(p posture.Program) bool { return l.Needs(p.Name) }):
				has[i] = append(has[i], o)
			case !programs.Complete() && !o.Revoked && o.Retired == "" && o.Now == "":
				unread[i]++
			}
		}
		return true, nil
	})
	lines := []LicenceLine{}
	for i, l := range licences {
		now := l.Reconcile(has[i], unread[i], r.now)
		lines = append(lines, LicenceLine{Licence: l, Installed: now.Installed(), Over: now.Over(), Now: now})
	}
	return lines, err
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

// owners says of each device that is or was an asset whose it is.
func (r *reader) owners() (map[posture.DeviceID]register.Owner, error) {
	owners := map[posture.DeviceID]register.Owner{}
	err := r.eachAsset(nil, func(_ []byte, a register.Asset) (bool, error) {
		o := register.Owner{Tag: a.Tag}
		if a.Out(r.now) {
			o.Retired = a.Retired
		}
		for _, before := range a.Before {
			if _, known := owners[before]; !known && a.Device != "" {
				was := o
				was.Now, was.NowTag = a.Device, a.Tag
				owners[before] = was
			}
		}
		if a.Device != "" {
			owners[a.Device] = o
		}
		return true, nil
	})
	return owners, err
}
