package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// programsPage lists the programs of one device, some at a time.
type programsPage struct {
	Name    string
	Device  string // address
	Address string
	Search  string
	Origin  origin
	Total   int // programs on the device
	Found   int // of these, fitting the search
	From    int // number of the first row shown
	Rows    []posture.Program
	Next    string
	First   string
}

const programsPerPage = 100

func (s *site) programs(w http.ResponseWriter, r *http.Request, v visit) error {
	d, err := s.Queries.Device(r.Context(), v.school.ID, posture.DeviceID(r.PathValue("device")), v.now)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	body := programsPage{
		Device: deviceAddress(v.school.ID, d.ID), Search: bounded(q.Get("q")),
		Origin: newOrigin(d.Facts.Programs, s.clockwork(v)),
	}
	body.Address = body.Device + "/programs"
	body.Name, _ = names(d.Hostname, d.AssetTag, d.ID)
	after, err := strconv.Atoi(q.Get("after"))
	if err != nil || after < 0 {
		after = 0
	}
	body.fill(d.Facts.Programs, after)
	next, past := "", ""
	if after > 0 {
		past = strconv.Itoa(after)
	}
	if end := after + len(body.Rows); end < body.Found {
		next = strconv.Itoa(end)
	}
	body.Next, body.First = turn(body.Address, q, past, next)
	return s.write(w, http.StatusOK, "programs", s.page(v, "Programs on "+visible(body.Name), "devices"), body)
}

func (p *programsPage) fill(a posture.Answer[posture.Program], after int) {
	if a.Absent != posture.None {
		return
	}
	p.Total = len(a.Items)
	wanted := strings.ToLower(p.Search)
	for _, item := range a.Items {
		if !strings.Contains(strings.ToLower(item.Name+"\n"+item.Publisher), wanted) {
			continue
		}
		if p.Found >= after && len(p.Rows) < programsPerPage {
			p.Rows = append(p.Rows, item)
		}
		p.Found++
	}
	p.From = min(after+1, p.Found)
}
