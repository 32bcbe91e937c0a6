package view

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// coder writes the fields of a row one after the other, or reads them back: one
// list of fields serves both, so that they cannot differ. Rows hold no names of
// fields, because every report of every device reads and writes some; a change
// of the list is a change of the layout.
type coder struct {
	data    []byte // written so far, or left to be read
	texts   string // while reading: the whole row, of which texts are parts
	reading bool
	bad     bool // what was read is no such row
}

var errRow = errors.New("the row is cut short or damaged")

// encode returns the bytes of a row.
func encode(row interface{ code(*coder) }) []byte {
	c := coder{data: make([]byte, 0, 512)}
	row.code(&c)
	return c.data
}

// decode reads what encode wrote.
func decode(data []byte, row interface{ code(*coder) }) error {
	c := coder{data: data, texts: string(data), reading: true}
	row.code(&c)
	if c.bad || len(c.data) > 0 {
		return errRow
	}
	return nil
}

func (c *coder) count(n *uint64) {
	if !c.reading {
		c.data = binary.AppendUvarint(c.data, *n)
		return
	}
	v, used := binary.Uvarint(c.data)
	if used <= 0 {
		c.bad, c.data, *n = true, nil, 0
		return
	}
	*n, c.data = v, c.data[used:]
}

func (c *coder) signed(n *int64) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, *n)
		return
	}
	v, used := binary.Varint(c.data)
	if used <= 0 {
		c.bad, c.data, *n = true, nil, 0
		return
	}
	*n, c.data = v, c.data[used:]
}

func (c *coder) fixed(b []byte) {
	switch {
	case !c.reading:
		c.data = append(c.data, b...)
	case len(c.data) < len(b):
		c.bad, c.data = true, nil
	default:
		c.data = c.data[copy(b, c.data):]
	}
}

func (c *coder) truth(b *bool) {
	n := uint64(0)
	if *b {
		n = 1
	}
	c.count(&n)
	*b = n == 1
}

// length writes the length of a list, or reads one of which each item takes at
// least a byte.
func (c *coder) length(n int) int {
	v := uint64(n)
	c.count(&v)
	if c.reading && v > uint64(len(c.data)) {
		c.bad, c.data = true, nil
		return 0
	}
	return int(v)
}

// instant writes a time to the nanosecond. It is read back as UTC.
func (c *coder) instant(t *time.Time) {
	known := !t.IsZero()
	c.truth(&known)
	if !known {
		*t = time.Time{}
		return
	}
	seconds, rest := t.Unix(), uint64(t.Nanosecond())
	c.signed(&seconds)
	c.count(&rest)
	if c.reading {
		*t = time.Unix(seconds, int64(rest)).UTC()
	}
}

func codeText[T ~string](c *coder, s *T) {
	n := c.length(len(*s))
	if !c.reading {
		c.data = append(c.data, *s...)
		return
	}
	from := len(c.texts) - len(c.data)
	if c.bad {
		*s = ""
		return
	}
	*s, c.data = T(c.texts[from:from+n]), c.data[n:]
}

func codeInt[T ~int | ~int64](c *coder, n *T) {
	v := int64(*n)
	c.signed(&v)
	*n = T(v)
}

func codeByte[T ~uint8](c *coder, n *T) {
	v := uint64(*n)
	c.count(&v)
	*n = T(v)
}

// codeList writes a list; an empty one is read back as none.
func codeList[T any](c *coder, list *[]T, item func(*T)) {
	n := c.length(len(*list))
	if c.reading {
		*list = nil
		if n > 0 {
			*list = make([]T, n)
		}
	}
	for i := range *list {
		item(&(*list)[i])
	}
}

func (c *coder) list(list *[]string) { codeList(c, list, func(s *string) { codeText(c, s) }) }

func (c *coder) finding(f *posture.Finding) {
	codeText(c, &f.Rule)
	codeText(c, &f.Subject.Kind)
	codeText(c, &f.Subject.Key)
	codeText(c, &f.Subject.Label)
	codeByte(c, &f.Result)
	codeByte(c, &f.Severity)
	codeInt(c, &f.Grace)
	codeText(c, &f.Reason)
	codeText(c, &f.Message)
	c.instant(&f.FactAt)
}

func (p *Place) code(c *coder) {
	codeText(c, &p.Name)
	c.count(&p.Entry)
	c.fixed(p.Digest[:])
	codeInt(c, &p.Section)
	c.instant(&p.ReadAt)
}

func (k *Clock) code(c *coder) {
	codeText(c, &k.Boot)
	codeInt(c, &k.Base)
	codeInt(c, &k.Skew)
	codeInt(c, &k.Least)
	c.count(&k.FirstUptime)
	c.instant(&k.FirstReceivedAt)
	c.count(&k.Uptime)
	c.instant(&k.ReceivedAt)
}

func (v *Vector) code(c *coder) {
	if !c.reading {
		b := v.bytes()
		c.length(len(b))
		c.data = append(c.data, b...)
		return
	}
	n := c.length(0)
	if err := v.decode(c.data[:n]); err != nil {
		c.bad = true
	}
	c.data = c.data[n:]
}

func (d *DeviceRow) code(c *coder) {
	codeText(c, &d.ID)
	codeText(c, &d.Hostname)
	codeText(c, &d.AssetTag)
	codeText(c, &d.Platform)
	codeText(c, &d.OSName)
	codeText(c, &d.Chassis)
	codeText(c, &d.Ownership)
	codeText(c, &d.AgentVersion)
	codeText(c, &d.KeyFingerprint)
	for _, t := range []*time.Time{&d.EnrolledAt, &d.RevokedAt, &d.LastContact, &d.ReportedAt, &d.ObservedAt, &d.HeldAt} {
		c.instant(t)
	}
	codeText(c, &d.RevokedFor)
	for _, n := range []*uint64{&d.RevokedIn, &d.LastReport, &d.Policy, &d.Assignment, &d.Entry, &d.Events, &d.SchoolPolicy} {
		c.count(n)
	}
	d.Heard.code(c)
	d.Clock.code(c)
	codeList(c, &d.Places, func(p *Place) { p.code(c) })
	codeList(c, &d.Own, c.finding)
	c.list(&d.Disagreements)
	c.list(&d.Unproven)
	c.truth(&d.Proven)
	c.truth(&d.Recheck)
	codeInt(c, &d.Dropped)
	codeInt(c, &d.ProbeErrors)
	codeInt(c, &d.Administrators.Value)
	codeByte(c, &d.Administrators.Absent)
	codeByte(c, &d.Disks)
	codeByte(c, &d.Definitions.Word)
	c.count(&d.Definitions.Made)
	codeInt(c, &d.Online)
	codeInt(c, &d.GraceDue)
	codeByte(c, &d.Apart)
	d.Twice.code(c)
	codeText(c, &d.ReplacedBy)
	codeList(c, &d.Replaces, func(id *posture.DeviceID) { codeText(c, id) })
	d.Vector.code(c)
}

// breachRow is the row of a breach.
type breachRow struct {
	*breach.Breach
	calendar *uint64 // under which its turns are kept; nil where nobody asks
}

func (r breachRow) code(c *coder) {
	b := r.Breach
	codeText(c, &b.Device)
	codeText(c, &b.Rule)
	codeText(c, &b.Kind)
	codeText(c, &b.ID)
	codeInt(c, &b.Number)
	c.count(&b.Order)
	for _, t := range []*time.Time{
		&b.FirstFailed, &b.LastFailed, &b.ReceivedAt, &b.AcknowledgedAt, &b.ResolvedAt,
		&b.Exemption.From, &b.Exemption.Until, &b.Exemption.Ended,
	} {
		c.instant(t)
	}
	codeByte(c, &b.Terms.Severity)
	codeInt(c, &b.Terms.Grace)
	c.truth(&b.Terms.Pauses)
	codeInt(c, &b.Terms.Escalate.After)
	codeByte(c, &b.Terms.Escalate.Severity)
	c.truth(&b.Terms.Waits)
	if c.truth(&b.Online.Known); b.Online.Known {
		codeInt(c, &b.Online.Since)
		c.instant(&b.Online.Ends)
	}
	codeInt(c, &b.Reopened)
	for _, s := range []*string{
		&b.Terms.Label, &b.Terms.Message, &b.AcknowledgedBy, &b.ResolvedBy,
		&b.Exemption.ID, &b.Exemption.AskedBy, &b.Exemption.Approver, &b.Exemption.Reason,
	} {
		codeText(c, s)
	}
	codeText(c, &b.Resolution)
	if r.calendar == nil {
		r.calendar = new(uint64)
	}
	c.count(r.calendar)
	if scope := &b.Exemption.Scope; b.Exemption.ID != "" {
		codeText(c, &scope.Rule)
		codeText(c, &scope.Of)
		codeText(c, &scope.Device)
		codeText(c, &scope.Kind)
		codeText(c, &scope.Subject)
		codeText(c, &scope.Group)
	}
}
