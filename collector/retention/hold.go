package retention

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/collector/incident"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/register"
	"github.com/caretaker-school/caretaker/collector/viewing"
	"github.com/caretaker-school/caretaker/shared/posture"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// Held are the subjects that named people hold: nothing about them may be lost,
// whatever its age. The zero value holds nothing.
//
// Whoever forgets something asks About of each body, and has what is held kept
// aside before it is forgotten. What is forgotten, and how it is counted, is the
// same whether something is held or not: a count must not tell of a hold.
type Held struct {
	Devices map[posture.DeviceID]bool
	Assets  map[string]bool // by register.Key of the tag
	Media   map[string]bool // by register.Key of the number
	// Incidents are those that are linked to something that is held, by identifier.
	Incidents map[string]bool
}

// Any reports whether anything is held.
func (h Held) Any() bool { return len(h.Devices)+len(h.Assets)+len(h.Media) > 0 }

// Device reports whether a device is held.
func (h Held) Device(id posture.DeviceID) bool { return h.Devices[id] }

// Asset reports whether the asset of a tag is held: it is when its device is.
func (h Held) Asset(tag string) bool { return h.Assets[register.Key(tag)] }

// Medium reports whether the medium of a number is held.
func (h Held) Medium(number string) bool { return h.Media[register.Key(number)] }

// Bodies is the part of a ledger that is read to find what a body is about.
type Bodies interface {
	Body(ctx context.Context, i ledger.Index, n int) ([]byte, error)
}

// About reports whether a body that is stored is about something that is held:
// what a device said, and what people recorded about it. What cannot be read is
// taken to be.
func (h Held) About(ctx context.Context, l Bodies, s ledger.Stored) (bool, error) {
	if !h.Any() {
		return false, nil
	}
	e := s.Record.Envelope
	if h.Devices[posture.DeviceID(e.Subject)] {
		return true, nil
	}
	switch e.Kind {
	case proof.KindContacts:
		return h.contact(s.Section.Body), nil
	case proof.KindDecision:
		return h.decided(ctx, l, s)
	case proof.KindLook:
		return h.looked(s.Section.Body), nil
	}
	return false, nil
}

func (h Held) contact(body []byte) bool {
	signed, err := proof.DecodeSignedContact(body)
	if err != nil {
		return true
	}
	c, err := proof.DecodeContactStatement(signed.Statement)
	return err != nil || h.Device(posture.DeviceID(c.Device))
}

// looked reports whether somebody looked at what is held.
func (h Held) looked(body []byte) bool {
	l, err := viewing.Decode(body)
	return err != nil || slices.ContainsFunc(l.Laptops(), h.Device) || l.What == viewing.Asset && h.Asset(l.Name) || l.What == viewing.Medium && h.Medium(l.Name)
}

// decided asks the section that stands beside a decision, and names no person,
// what it is about.
func (h Held) decided(ctx context.Context, l Bodies, s ledger.Stored) (bool, error) {
	for n, ref := range s.Record.Envelope.Sections {
		if ref.Name != register.Section && ref.Name != incident.Section {
			continue
		}
		body, err := l.Body(ctx, s.Record.Index, n)
		if errors.Is(err, ledger.ErrForgotten) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if ref.Name == register.Section && h.registered(body) || ref.Name == incident.Section && h.linked(body) {
			return true, nil
		}
	}
	return false, nil
}

func (h Held) registered(body []byte) bool {
	c, err := register.Decode(body)
	if err != nil || h.Device(c.Device) {
		return true
	}
	for _, i := range c.Items {
		if h.Device(i.Device) || h.Asset(i.Tag) {
			return true
		}
	}
	if strings.HasSuffix(string(c.What), "-medium") {
		return h.Medium(c.Tag)
	}
	return !c.OfLicence() && h.Asset(c.Tag)
}

func (h Held) linked(body []byte) bool {
	c, err := incident.Decode(body)
	if err != nil || h.Incidents[c.ID] {
		return true
	}
	for _, l := range c.Links {
		if h.Device(l.Device) || l.What == incident.Asset && h.Asset(l.Name) || l.What == incident.Medium && h.Medium(l.Name) {
			return true
		}
	}
	return false
}

// Hold returns what is held if some devices and media are: with them what the
// same laptops were before they were set up anew and are since, the assets that
// any of these are or were, and the incidents that are linked to any of it.
func (s *Survey) Hold(ctx context.Context, l Ledger, devices []posture.DeviceID, media []string) (Held, error) {
	h := Held{Devices: map[posture.DeviceID]bool{}, Assets: map[string]bool{}, Media: map[string]bool{}, Incidents: map[string]bool{}}
	for _, id := range devices {
		h.Devices[id] = true
	}
	for _, number := range media {
		h.Media[register.Key(number)] = true
	}
	s.sameLaptops(h.Devices)
	for tag, a := range s.assets {
		if h.Devices[a.Device] || slices.ContainsFunc(a.Before, h.Device) {
			h.Assets[tag] = true
		}
	}
	for b, err := range inOrder(ctx, l, proof.Kept) {
		if err != nil {
			return Held{}, err
		}
		if b.Section.Name != incident.Section {
			continue
		}
		if c, err := incident.Decode(b.Section.Body); err == nil && h.linked(b.Section.Body) {
			h.Incidents[c.ID] = true
		}
	}
	return h, nil
}

// sameLaptops adds to devices those that are the same laptops, set up anew.
func (s *Survey) sameLaptops(devices map[posture.DeviceID]bool) {
	for more := true; more; {
		before := len(devices)
		for earlier, later := range s.became {
			if devices[earlier] || devices[later] {
				devices[earlier], devices[later] = true, true
			}
		}
		more = len(devices) > before
	}
}

// Nothing is a step in which nothing is forgotten but what the caller knows to be
// over.
func Nothing(item Item, class proof.Class, month ledger.Month, span Span) Step {
	return Step{Item: item, Class: class, Month: month, Span: span, keep: known(func(ledger.Stored) bool { return true })}
}
