package ledger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/caretaker-school/caretaker/collector/ledger"
	"github.com/caretaker-school/caretaker/collector/ledger/ledgertest"
	"github.com/caretaker-school/caretaker/shared/durable"
	"github.com/caretaker-school/caretaker/shared/proof"
)

// BenchmarkAppend measures durable appends by many at once, and beside them
// the limit: the same bytes appended to one plain file, gathered in the same
// way, with one sync for all that wait. "ratio" is ours to the limit's.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 32, 1000} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			entries := make([][]ledger.Entry, writers)
			for w := range writers {
				d := ledgertest.NewDevice(b, fmt.Sprintf("dev-%04d", w))
				for n := range b.N/writers + 1 {
					entries[w] = append(entries[w], d.Usual(b, ledgertest.Start+uint64(n), uint64(n)))
				}
			}
			l, err := ledger.Open(b.TempDir(), ledgertest.Options(b))
			if err != nil {
				b.Fatal(err)
			}
			encoded, err := entries[0][0].Envelope.Encode()
			if err != nil {
				b.Fatal(err)
			}
			plain := newPlain(b, len(encoded)+3*80+100)
			b.ResetTimer()
			limit := timed(b, writers, func(int, int) error { return plain.append() })
			ours := timed(b, writers, func(w, n int) error {
				_, err := l.Append(context.Background(), entries[w][n])
				return err
			})
			b.StopTimer()
			done := float64(writers * (b.N/writers + 1))
			b.ReportMetric(done/ours.Seconds(), "entries/s")
			b.ReportMetric(done/limit.Seconds(), "limit/s")
			b.ReportMetric(limit.Seconds()/ours.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
			plain.close()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkBegin is what the ledger does with one report of usual size, when
// many are on their way and few syncs are waited for.
func BenchmarkBegin(b *testing.B) {
	d := ledgertest.NewDevice(b, "dev-014")
	body := make([]byte, 850)
	entries := make([]ledger.Entry, b.N)
	for n := range entries {
		salt := uint64(n)
		entries[n] = d.Report(b, ledgertest.Start+salt,
			ledgertest.Section("media", proof.Media, body, salt), ledgertest.Section("media-events", proof.Media, body, salt),
			ledgertest.Section("findings", proof.Posture, body, salt))
	}
	l, err := ledger.Open(b.TempDir(), ledgertest.Options(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var last *ledger.Pending
	for _, e := range entries {
		if last, err = l.Begin(b.Context(), last, e); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := last.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// timed lets writers append one after another, all at once.
func timed(b *testing.B, writers int, appendOne func(writer, n int) error) time.Duration {
	var wg sync.WaitGroup
	began := time.Now()
	for w := range writers {
		wg.Go(func() {
			for n := range b.N/writers + 1 {
				if err := appendOne(w, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// plain is the least that durable appends of as many bytes can cost.
type plain struct {
	file    *os.File
	record  []byte
	waiting chan chan error
	ended   sync.WaitGroup
}

func newPlain(b *testing.B, size int) *plain {
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	if err != nil {
		b.Fatal(err)
	}
	p := &plain{file: f, record: make([]byte, size), waiting: make(chan chan error, 1024)}
	p.ended.Go(p.run)
	return p
}

func (p *plain) append() error {
	done := make(chan error, 1)
	p.waiting <- done
	return <-done
}

func (p *plain) run() {
	for first := range p.waiting {
		batch := []chan error{first}
		for chances := 0; chances < 8; {
			select {
			case next, ok := <-p.waiting:
				if !ok {
					chances = 8
					break
				}
				batch = append(batch, next)
			default:
				chances++
				runtime.Gosched()
			}
		}
		var bytes []byte
		for range batch {
			bytes = append(bytes, p.record...)
		}
		_, err := p.file.Write(bytes)
		if err == nil {
			err = durable.SyncData(p.file)
		}
		for _, done := range batch {
			done <- err
		}
	}
}

func (p *plain) close() {
	close(p.waiting)
	p.ended.Wait()
	p.file.Close()
}

func BenchmarkRead(b *testing.B) {
	l, err := ledger.Open(b.TempDir(), ledgertest.Options(b))
	if err != nil {
		b.Fatal(err)
	}
	d := ledgertest.NewDevice(b, "dev-014")
	var entries []ledger.Entry
	for n := range uint64(1000) {
		entries = append(entries, d.Usual(b, ledgertest.Start+n, n))
	}
	if _, err := l.Append(b.Context(), entries...); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		if _, err := l.Read(b.Context(), ledger.Index(n%1000)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
