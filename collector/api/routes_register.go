package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/view"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// RegisterQueries are the questions about a school's register.
type RegisterQueries interface {
	Assets(ctx context.Context, school posture.SchoolID, query view.AssetQuery, now time.Time) (view.AssetPage, error)
	Asset(ctx context.Context, school posture.SchoolID, tag string, now time.Time) (view.Registered, error)
	Media(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (view.MediumPage, error)
	FindMedia(ctx context.Context, school posture.SchoolID, query view.FoundQuery, now time.Time) (view.FoundMedia, error)
	Licences(ctx context.Context, school posture.SchoolID, q view.LicenceQuery, now time.Time) (view.LicenceList, error)
	Uses(ctx context.Context, school posture.SchoolID, after string, limit int, now time.Time) (view.UsePage, error)
	Coverage(ctx context.Context, school posture.SchoolID, now time.Time) (view.Coverage, error)
	CoverageCounts(ctx context.Context, school posture.SchoolID, now time.Time) (view.Coverage, error)
}

// Keeper records changes of a school's register.
type Keeper interface {
	// Keep records a change in a school's ledger and returns the entry that
	// holds it.
	Keep(ctx context.Context, school posture.SchoolID, d decision.Decision, c register.Change) (entry uint64, err error)
	// SignLicence records that what is installed of a product now was compared
	// with what was bought.
	SignLicence(ctx context.Context, school posture.SchoolID, d decision.Decision, product, term string) (entry uint64, err error)
}

// Importer imports a school's list of devices.
type Importer interface {
	// ImportRegister records what a list in CSV changes, or says what it would, as
	// whoever decides; entry is 0 if nothing was recorded. What is wrong with the
	// list is a *register.WrongError.
	ImportRegister(ctx context.Context, school posture.SchoolID, d decision.Decision, source []byte, asOf time.Time, dry bool) (plan register.Plan, entry uint64, err error)
}

func registerRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/schools/{school}/register", right: access.ReadRegister, shows: viewing.Register,
			words: "A page of a school's register of devices, by asset tag.", gives: view.AssetPage{}, serve: (*door).assets,
			params: []param{
				{name: "search", words: "part of a tag, what it is, a group, who has it or a host name"},
				{name: "cover", words: "only what is covered so", one: []string{
					string(view.ByAgent), string(view.SilentAgent), string(view.ByImport), string(view.StaleImport),
					string(view.NeverEnrolled), string(view.OutOfUse),
				}},
				{name: "overdue", words: "only loans that are over and were not handed back", one: []string{"true"}},
				{name: "bySerial", words: "only what was admitted by its serial number alone", one: []string{"true"}},
				afterParam, limitParam,
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/register/{tag}", right: access.ReadRegister, shows: viewing.Asset,
			words: "One asset of a school's register.", gives: view.Registered{}, serve: (*door).asset,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/coverage", right: access.ReadRegister, shows: viewing.Register,
			words: "A school's register compared with the devices that are enrolled.", gives: view.Coverage{}, serve: (*door).coverage,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/media", right: access.ReadRegister, shows: viewing.Media,
			words: "A page of a school's register of media, by number, with where each was seen.", gives: view.MediumPage{}, serve: (*door).media,
			params: []param{afterParam, limitParam},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/found-media", right: access.ReadDevices, shows: viewing.Media,
			words: "What is known of media that were plugged into a machine for investigations. Of their files nothing is.",
			gives: view.FoundMedia{}, serve: (*door).foundMedia,
			params: []param{
				{name: "serial", words: "hash of a serial number, to look up that one instead"},
				{name: "number", words: "number of the register, to look up that one instead"},
				{name: "found", words: "when it was found, such as 2026-11-09T07:40:00Z: what was plugged in before is not it"},
				{name: "zone", words: "in which times are offered, such as Europe/London; UTC if not given"},
			},
		},
		{
			method: http.MethodGet, path: "/schools/{school}/licences", right: access.ReadLicences, shows: viewing.Devices,
			words: "What was bought of each product, and what is installed now.", gives: view.LicenceList{}, serve: (*door).licences,
			params: []param{{name: "product", words: "only this product"}},
		},
		{
			method: http.MethodPost, path: "/schools/{school}/licences/{product}/signatures", right: access.SignLicences,
			words: "Signs for a term that what is installed of a product now was compared with what was bought.",
			takes: NewLicenceSignature{}, gives: Recorded{}, serve: (*door).signLicence,
		},
		{
			method: http.MethodGet, path: "/schools/{school}/acknowledgements", right: access.ReadRegister, shows: viewing.Uses,
			words: "A page of who acknowledged the rules of use, and when.", gives: view.UsePage{}, serve: (*door).uses,
			params: []param{afterParam, limitParam},
		},
		{
			method: http.MethodPost, path: "/schools/{school}/register", right: access.KeepRegister,
			words: "Records a change of the register: who has a device, who left, what was wiped, and so on.",
			takes: NewChange{}, gives: Recorded{}, serve: (*door).keep,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/register-imports", right: access.KeepRegister,
			words: "Imports a list of devices, or says what that would change. If anything is wrong with it nothing is recorded.",
			takes: NewImport{}, gives: Imported{}, serve: (*door).importList,
		},
		{
			method: http.MethodPost, path: "/schools/{school}/register/{tag}/signatures", right: access.SignRegister,
			words: "Signs the checklist of somebody who had a device and left. Two people sign.",
			takes: NewSignature{}, gives: Recorded{}, serve: (*door).sign,
		},
	}
}

// NewChange is a change of the register as a caller gives it.
type NewChange struct {
	Change register.Change `json:"change"`
	Person string          `json:"person,omitempty"` // who gets a device, by name
	Reason string          `json:"reason"`
}

// NewImport is a list of devices as a caller gives it.
type NewImport struct {
	// Source is the list in CSV. Its first line names the columns.
	Source string    `json:"source"`
	AsOf   time.Time `json:"asOf,omitzero"`    // when it was true; zero: now
	DryRun bool      `json:"dryRun,omitempty"` // say what would change, and record nothing
}

// Imported is what a list changed, or would.
type Imported struct {
	DryRun bool `json:"dryRun"`
	register.Plan
	Recorded bool   `json:"recorded"` // nothing is if nothing changed
	Entry    uint64 `json:"entry"`    // of the ledger, if something was
}

// NewSignature is a signature as a caller gives it: whose it is, the key says.
type NewSignature struct {
	Reason string `json:"reason"`
}

// NewLicenceSignature is a signature for a product as a caller gives it.
type NewLicenceSignature struct {
	Term   string `json:"term"` // such as "autumn 2026"
	Reason string `json:"reason"`
}

func (d *door) assets(r *http.Request, v visit) (any, error) {
	return d.Queries.Assets(r.Context(), v.school.ID, view.AssetQuery{
		Search: v.params.first("search"), Cover: view.Cover(v.params.first("cover")), Overdue: v.params.first("overdue") != "", BySerial: v.params.first("bySerial") != "",
		Names: v.account.May(v.school.ID, access.ReadHolders), After: v.params.first("after"), Limit: v.params.limit(),
	}, v.now)
}

func (d *door) asset(r *http.Request, v visit) (any, error) {
	one, err := d.Queries.Asset(r.Context(), v.school.ID, r.PathValue("tag"), v.now)
	if !v.account.May(v.school.ID, access.ReadHolders) {
		one = one.Nameless()
	}
	return one, err
}

func (d *door) coverage(r *http.Request, v visit) (any, error) {
	return d.Queries.Coverage(r.Context(), v.school.ID, v.now)
}

func (d *door) media(r *http.Request, v visit) (any, error) {
	return d.Queries.Media(r.Context(), v.school.ID, v.params.first("after"), v.params.limit(), v.now)
}

func (d *door) foundMedia(r *http.Request, v visit) (any, error) {
	query := view.FoundQuery{Serial: v.params.first("serial"), Number: v.params.first("number"), Zone: v.params.first("zone")}
	if at := v.params.first("found"); at != "" {
		found, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, bad("found is a time such as 2026-11-09T07:40:00Z")
		}
		moment := incident.NewMoment(found, cmp.Or(query.Zone, "UTC"))
		query.Found = &moment
	}
	if err := query.Check(v.now); err != nil {
		return nil, bad("%s", err.Error())
	}
	return d.Queries.FindMedia(r.Context(), v.school.ID, query, v.now)
}

func (d *door) keep(r *http.Request, v visit) (any, error) {
	var asked NewChange
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	switch asked.Change.What {
	case register.Sign:
		return nil, bad("a checklist is signed at register/TAG/signatures")
	case register.Import:
		return nil, bad("a list is imported at register-imports")
	case register.SignLicence:
		return nil, bad("a licence is signed for at licences/PRODUCT/signatures")
	}
	if err := asked.Change.Name(asked.Person); err != nil {
		return nil, bad("%s", err.Error())
	}
	return d.record(r, v, asked.Change, asked.Person, asked.Reason)
}

func (d *door) importList(r *http.Request, v visit) (any, error) {
	var asked NewImport
	if err := readBounded(r, &asked, mostImport, "a list has at most 4 MiB"); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: register.ImportReason}
	plan, entry, err := d.Importer.ImportRegister(r.Context(), v.school.ID, made, []byte(asked.Source), asked.AsOf, asked.DryRun)
	if wrong, ok := errors.AsType[*register.WrongError](err); ok {
		return nil, &problem{Status: http.StatusUnprocessableEntity, Detail: wrong.Error()}
	}
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Imported{DryRun: asked.DryRun, Plan: plan, Recorded: !asked.DryRun && !plan.Nothing(), Entry: entry}, err
}

func (d *door) sign(r *http.Request, v visit) (any, error) {
	var asked NewSignature
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	return d.record(r, v, register.Change{What: register.Sign, Tag: r.PathValue("tag")}, "", asked.Reason)
}

func (d *door) licences(r *http.Request, v visit) (any, error) {
	return d.Queries.Licences(r.Context(), v.school.ID, view.LicenceQuery{Product: v.params.first("product"), Devices: register.AllDevices}, v.now)
}

func (d *door) uses(r *http.Request, v visit) (any, error) {
	page, err := d.Queries.Uses(r.Context(), v.school.ID, v.params.first("after"), v.params.limit(), v.now)
	if !v.account.May(v.school.ID, access.ReadHolders) {
		page = page.Nameless()
	}
	return page, err
}

func (d *door) signLicence(r *http.Request, v visit) (any, error) {
	var asked NewLicenceSignature
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: asked.Reason}
	if err := made.CheckNew(); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Keeper.SignLicence(r.Context(), v.school.ID, made, r.PathValue("product"), asked.Term)
	return recorded(entry, err)
}

// record records a change under the account whose key asks.
func (d *door) record(r *http.Request, v visit, c register.Change, person, reason string) (any, error) {
	made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: reason, Person: person}
	if err := errors.Join(c.Check(), made.CheckNew()); err != nil {
		return nil, bad("%s", err.Error())
	}
	entry, err := d.Keeper.Keep(r.Context(), v.school.ID, made, c)
	return recorded(entry, err)
}

func recorded(entry uint64, err error) (any, error) {
	if refused, ok := errors.AsType[*decision.RefusedError](err); ok {
		return nil, &problem{Status: http.StatusConflict, Detail: refused.Error()}
	}
	return Recorded{Entry: entry}, err
}

// mostImport is more than any list has once it is written as JSON, in bytes.
const mostImport = 2*register.MostList + 64<<10

// readBody reads the document that a caller sent.
func readBody(r *http.Request, into any) error {
	return readBounded(r, into, maxDecision, "what is recorded has at most 64 KiB")
}

// readBounded is readBody for a document of at most so many bytes.
func readBounded(r *http.Request, into any, most int64, tooLong string) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: tooLong}
	}
	if err != nil {
		return bad("what is to be recorded did not arrive whole")
	}
	if err := strictly(body, into); err != nil {
		return bad("%s", err.Error())
	}
	return nil
}
