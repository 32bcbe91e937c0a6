package e2e

import (
	"crypto/ecdsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/enroll"
	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/roster"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// TestAStrangerChecksTheRecord: whoever has a checkpoint that the school
// signed checks an entry, the laptop's signature and that what the laptop
// witnessed is where the record grew from.
func TestAStrangerChecksTheRecord(t *testing.T) {
	w := newWorld(t)
	c := w.collect()
	l := w.laptop("laptop", "plain-laptop", c.agents)
	until(t, "the report shows", func() bool { return l.shown().LastReport == 1 })
	until(t, "the laptop is given a checkpoint", func() bool {
		w.clock.Advance(time.Minute)
		_, err := os.Stat(filepath.Join(l.state, "witness.json"))
		return err == nil
	})
	l.becomes("encrypted-laptop")
	w.clock.Advance(24 * time.Hour)
	until(t, "the next report shows", func() bool { return l.shown().LastReport == 2 })
	must(t, l.stop())
	must(t, c.stop())

	schools, err := enroll.LoadSchools(w.data)
	must(t, err)
	signer, err := schools[0].Key.Signer()
	must(t, err)
	verifier, err := schools[0].Key.Verifier()
	must(t, err)
	record, err := ledger.Open(schools[0].LedgerDir(), ledger.Options{
		School: string(schools[0].ID), Signer: signer, Verifier: verifier.Note, Log: logTo(t, "ledger"),
	})
	must(t, err)
	defer record.Close()
	note, err := record.Checkpoint(t.Context())
	must(t, err)
	trusted, err := verifier.Checkpoint(note)
	must(t, err)

	var key *ecdsa.PublicKey
	reports, witnessed := 0, 0
	for r, err := range record.Entries(t.Context(), 0, ledger.Index(record.Size())) {
		must(t, err)
		inclusion, err := record.ProveInclusion(r.Index, trusted.Size)
		must(t, err)
		if err := inclusion.Verify(proof.LeafHash(r.Encoded), trusted.Root); err != nil {
			t.Errorf("entry %d: %v", r.Index, err)
		}
		changed := append([]byte{}, r.Encoded...)
		changed[len(changed)-1] ^= 1
		if inclusion.Verify(proof.LeafHash(changed), trusted.Root) == nil {
			t.Errorf("entry %d with a byte changed is proven all the same", r.Index)
		}
		for n, s := range r.Envelope.Sections {
			if s.Name == roster.SectionEnrolment {
				body, err := record.Body(t.Context(), r.Index, n)
				must(t, err)
				e, err := roster.DecodeEnrolment(body)
				must(t, err)
				certificate, err := x509.ParseCertificate(e.Certificate)
				must(t, err)
				key = certificate.PublicKey.(*ecdsa.PublicKey)
			}
		}
		if r.Envelope.Kind != proof.KindReport {
			continue
		}
		reports++
		must(t, proof.VerifyStatement(key, proof.HashReport(r.Envelope.Statement), r.Envelope.Signature))
		statement, err := proof.DecodeReportStatement(r.Envelope.Statement)
		must(t, err)
		if statement.Witness.Size == 0 {
			continue
		}
		witnessed++
		grown, err := record.ProveConsistency(statement.Witness.Size, trusted.Size)
		must(t, err)
		if err := grown.Verify(statement.Witness.Root, trusted.Root); err != nil {
			t.Errorf("report %d witnessed another past: %v", statement.Sequence, err)
		}
	}
	if reports != 2 || witnessed == 0 {
		t.Errorf("%d reports, of which %d name a checkpoint", reports, witnessed)
	}
}
