package app

import (
	"net/url"

	"github.com/caretaker-school/caretaker/shared/wire"
)

// mostReportPage bounds the address of the page on which a loss is reported.
const mostReportPage = 512

// ReportPage implements uplink.Handler: it keeps where people at the school report
// that the laptop was lost, for whoever sits here. It is shown and never opened.
func (b *inbox) ReportPage(address string) error {
	if address = readReportPage(address); address != b.reportsAt() {
		b.report(func(r *running) { r.ReportPage = address })
	}
	return nil
}

func (b *inbox) reportsAt() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.run.ReportPage
}

// readReportPage returns the address of a page as it can be shown, or "" if it is none.
func readReportPage(address string) string {
	if address == "" || len(address) > mostReportPage || wire.Visible(address, mostReportPage) != address {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return address
}
