package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caretaker-school/caretaker/collector/decision"
	"github.com/caretaker-school/caretaker/collector/register"
)

// newAssetPage is the form by which one device is registered.
type newAssetPage struct {
	Nav     []menuLink
	Address string
	Import  string
	Tag     string
	Host    string
	Form    assetForm
	Classes []choice
	Wrong   []wrong
}

func (s *site) newAsset(w http.ResponseWriter, r *http.Request, v visit) error {
	host := bounded(r.URL.Query().Get("host"))
	return s.showNewAsset(w, v, http.StatusOK, "", host, assetForm{}, nil)
}

func (s *site) showNewAsset(w http.ResponseWriter, v visit, status int, tag, host string, f assetForm, bad []wrong) error {
	page := newAssetPage{
		Nav: registerNav(v, ""), Address: registerAddress(v.school.ID), Import: registerAddress(v.school.ID) + "/import", Tag: tag, Host: host, Form: f,
		Classes: classChoices(f.Class), Wrong: bad,
	}
	title := "Register a device"
	title = titleOf(title, bad)
	return s.write(w, status, "asset-new", s.page(v, title, "register"), page)
}

// addAsset registers one device: it is a list of one line.
func (s *site) addAsset(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	tag, host, typed := oneLine(f.Get("tag")), oneLine(f.Get("host")), describedIn(f)
	_, err = s.Register.Asset(r.Context(), v.school.ID, tag, v.now)
	var bad []wrong
	switch {
	case tag == "":
		bad = append(bad, wrong{"tag", "Enter the asset tag, as it stands on the label."})
	case err == nil:
		bad = append(bad, wrong{"tag", "This tag is in the register already."})
	case !isMissing(err):
		return err
	default:
		cells := []string{"tag", tag}
		if host != "" {
			cells = append(cells, "host", host)
		}
		if bad, err = s.describe(r, v, typed, cells...); err != nil {
			return err
		}
	}
	if len(bad) > 0 {
		return s.showNewAsset(w, v, http.StatusUnprocessableEntity, tag, host, typed, bad)
	}
	http.Redirect(w, r, assetAddress(v.school.ID, tag)+"?done=description", http.StatusSeeOther)
	return nil
}

// describeAsset corrects what the register says that a device is.
func (s *site) describeAsset(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(w, r, maxForm)
	if err != nil {
		return err
	}
	a, err := s.assetOf(r, v)
	if err != nil {
		return err
	}
	typed := describedIn(f)
	bad, err := s.describe(r, v, typed, "tag", a.Tag)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return s.showAsset(w, r, v, http.StatusUnprocessableEntity, a, typed, "description", bad)
	}
	http.Redirect(w, r, assetAddress(v.school.ID, a.Tag)+"?done=description", http.StatusSeeOther)
	return nil
}

func describedIn(f url.Values) assetForm {
	return assetForm{What: oneLine(f.Get("what")), Class: bounded(f.Get("class")), Group: oneLine(f.Get("group")), Bought: bounded(f.Get("bought")), Serial: oneLine(f.Get("serial"))}
}

// describe records what a device is, as a list of one line: columns and their
// cells beside the description.
func (s *site) describe(r *http.Request, v visit, f assetForm, cells ...string) ([]wrong, error) {
	cells = append(cells, "what", f.What, "class", f.Class, "group", f.Group, "bought", f.Bought, "serial", f.Serial)
	source, err := register.OneLine(cells...)
	if err != nil {
		return nil, err
	}
	made := decision.Decision{Kind: decision.Register, By: v.account.Name, At: v.now, Reason: register.UsualReason}
	_, _, err = s.RegisterKeeper.ImportRegister(r.Context(), v.school.ID, made, source, time.Time{}, false)
	var bad []wrong
	if list, is := errors.AsType[*register.WrongError](err); is {
		for _, one := range list.List {
			at := one.Column
			if at == "" {
				at = "what"
			}
			bad = append(bad, wrong{at, sentence(one.What)})
		}
		return bad, nil
	}
	if isRefusal(err) {
		return []wrong{{"what", sentence(err.Error())}}, nil
	}
	return nil, err
}
