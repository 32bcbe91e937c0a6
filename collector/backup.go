package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/backup"
	"github.com/caretaker-school/caretaker/shared/clock"
	"github.com/caretaker-school/caretaker/shared/durable"
)

func backupCommand(o *options) *cobra.Command {
	var secret secret
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything that the collector cannot make again into one encrypted file, while it runs",
		Long: "Write everything that the collector cannot make again into one file: each school's record up to one moment, its\n" +
			"keys, accounts, settings and notices. The collector goes on meanwhile; what arrives later is not in the file. The\n" +
			"file is encrypted to a passphrase, or to keys such as age-keygen makes: it holds what opens every door of the school.\n" +
			"Keep passphrase or key elsewhere than the file: without it nobody opens it. FILE is - for the standard output.",
		Example: "  caretaker-collector backup --passphrase-file /root/backup.passphrase /media/backup/caretaker-2026-11-20.backup\n" +
			"  caretaker-collector backup --recipient age1… - | ssh keeper.hollybank.example 'cat > caretaker.backup'",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			to, err := secret.recipients(c)
			if err != nil {
				return err
			}
			m, err := writeBackup(c, o.data, args[0], to)
			if err != nil {
				return err
			}
			if err := app.NoteBackup(c.Context(), o.data, m, clock.System{}); err != nil {
				return fmt.Errorf("the backup is written: %w", err)
			}
			return showBackup(c, o, args[0], m)
		},
	}
	secret.flags(c)
	c.Flags().StringArrayVar(&secret.to, "recipient", nil, "age1… key whose holder can open the file; may repeat (default: a passphrase)")
	return c
}

func showBackup(c *cobra.Command, o *options, file string, m backup.Manifest) error {
	out := c.OutOrStdout()
	if file == "-" {
		out = c.ErrOrStderr()
	} else if o.json {
		if err := printJSON(c, m); err != nil {
			return err
		}
		out = c.ErrOrStderr()
	}
	for _, s := range m.Schools {
		fmt.Fprintf(out, "%s: %s.\n", s.Name, count(int(s.Entries), "entry", "entries"))
	}
	fmt.Fprintf(out, "%.1f MB, as of %s.\n", float64(m.Bytes)/1e6, when(m.At))
	for _, l := range m.Left {
		fmt.Fprintf(out, "NOT IN THE BACKUP: %s: %s\n", l.What, l.Why)
	}
	if len(m.Left) > 0 {
		return errBad
	}
	return nil
}

// writeBackup writes a backup to a file, which is there whole or not at all, or
// to the standard output.
func writeBackup(c *cobra.Command, data, name string, to []age.Recipient) (m backup.Manifest, err error) {
	if name == "-" {
		return sealBackup(c, data, c.OutOrStdout(), to)
	}
	if err := outside(data, name); err != nil {
		return m, err
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return m, errors.Join(fmt.Errorf("write the backup: %s is there already: each backup is a file of its own", name), err)
	}
	partial := name + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("remove what an earlier backup left: %w", err)
	}
	f, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	m, err = sealBackup(c, data, f, to)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return m, errors.Join(err, os.Remove(partial))
	}
	if err := os.Rename(partial, name); err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	return m, durable.SyncDir(filepath.Dir(name))
}

// outside refuses a file in the data folder: the next backup would hold it.
func outside(data, name string) error {
	file, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	folder, err := filepath.Abs(data)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	if within, err := filepath.Rel(folder, file); err == nil && filepath.IsLocal(within) {
		return fmt.Errorf("write the backup: %s is in the collector's data folder: keep backups on another disk", name)
	}
	return nil
}

func sealBackup(c *cobra.Command, data string, w io.Writer, to []age.Recipient) (m backup.Manifest, err error) {
	ctx, stop := interruptible(c)
	defer stop()
	buffered := bufio.NewWriterSize(w, 1<<20)
	sealed, err := backup.Seal(buffered, to...)
	if err != nil {
		return m, err
	}
	if m, err = app.Backup(ctx, data, sealed, said(c, "backup"), clock.System{}); err != nil {
		return m, fmt.Errorf("write the backup: %w", err) // and what was written has no end, so that it opens as broken off
	}
	if err := sealed.Close(); err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	return m, nil
}

// interruptible is a command's context that ends when somebody interrupts it.
func interruptible(c *cobra.Command) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
}

// said says how far it is, each tenth once.
func said(c *cobra.Command, what string) func(done, of int64) {
	last := int64(0)
	return func(done, of int64) {
		if of < 10<<20 { // done before anybody wonders
			return
		}
		if tenth := min(done*10/of, 10); tenth > last {
			last = tenth
			fmt.Fprintf(c.ErrOrStderr(), "%s: %d %% of %d MB\n", what, tenth*10, of>>20)
		}
	}
}

func restoreCommand(o *options) *cobra.Command {
	var secret secret
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make an empty data folder what a backup says, and verify it whole",
		Long: "Make an empty data folder what a backup says, and verify every entry, signature and hash in it before it is done.\n" +
			"It never writes over a collector that has a school or an account, and no collector opens the folder before all is\n" +
			"well. What goes wrong is named with its file and place, and then nothing is left in the folder. FILE is - for the\n" +
			"standard input. Laptops that know more than the backup say so when they report next, and their pages show the gap.",
		Example: "  systemctl stop caretaker-collector\n" +
			"  caretaker-collector restore --passphrase-file /root/backup.passphrase /media/backup/caretaker-2026-11-20.backup\n" +
			"  systemctl start caretaker-collector",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := restore(c, o, args[0], secret)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c, a)
			}
			showRestored(c, a)
			return nil
		},
	}
	secret.flags(c)
	c.Flags().StringVar(&secret.keys, "identity", "", "file with the key that opens the backup, as age-keygen writes it (default: a passphrase)")
	return c
}

func restore(c *cobra.Command, o *options, name string, s secret) (a app.RestoreAnswer, err error) {
	with, err := s.identities(c, name)
	if err != nil {
		return a, err
	}
	in := c.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return a, fmt.Errorf("open the backup: %w", err)
		}
		defer f.Close()
		in = f
	}
	plain, err := backup.Open(bufio.NewReaderSize(in, 1<<20), with...)
	if err != nil {
		return a, err
	}
	ctx, stop := interruptible(c)
	defer stop()
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	return app.Restore(ctx, o.data, reading{ctx, plain}, said(c, "restore"), clock.System{}, log)
}

// reading is a reader that ends with its context.
type reading struct {
	ctx context.Context //nolint:containedctx // of the one command that reads
	r   io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func showRestored(c *cobra.Command, a app.RestoreAnswer) {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "Restored into %s, as of %s.\n", a.Data, when(a.Backup.At))
	for n, s := range a.Backup.Schools {
		r := a.Records[n]
		fmt.Fprintf(out, "%s: good: %s, %d signatures and %d bodies checked, %d forgotten on purpose. Its key:\n  %s\n", s.Name, count(int(r.Entries), "entry", "entries"), r.Statements, r.Bodies, r.Forgotten, s.Key)
	}
	for _, p := range a.Renumbered {
		fmt.Fprintf(out, "%s: its policy %d is policy %d from now on, so that laptops which had a later one take it.\n", p.Name, p.Was, p.Number)
	}
	for _, l := range a.Backup.Left {
		fmt.Fprintf(out, "NOT IN THE BACKUP: %s: %s\n", l.What, l.Why)
	}
	fmt.Fprintln(out, "Start the collector. Laptops that reported since then say so, and their pages show what is missing.")
}

// secret is what a backup is encrypted to or opened with.
type secret struct {
	file, keys string
	to         []string
}

func (s *secret) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "passphrase-file", "", "file that holds the passphrase (default: it is asked for, or read from the standard input)")
}

func (s *secret) recipients(c *cobra.Command) (to []age.Recipient, err error) {
	for _, one := range s.to {
		r, err := backup.ForKey(one)
		if err != nil {
			return nil, err
		}
		to = append(to, r)
	}
	switch {
	case len(to) > 0 && s.file != "":
		return nil, errors.New("give a recipient or a passphrase, not both")
	case len(to) > 0:
		return to, nil
	}
	passphrase, err := s.passphrase(c, true)
	if err != nil {
		return nil, err
	}
	r, err := backup.ForPassphrase(passphrase)
	return []age.Recipient{r}, err
}

func (s *secret) identities(c *cobra.Command, name string) ([]age.Identity, error) {
	switch {
	case s.keys != "" && s.file != "":
		return nil, errors.New("give a key or a passphrase, not both")
	case s.keys != "":
		f, err := os.Open(s.keys)
		if err != nil {
			return nil, fmt.Errorf("open the key: %w", err)
		}
		defer f.Close()
		return backup.WithKeys(f)
	case name == "-" && s.file == "":
		return nil, errors.New("the backup comes on the standard input, so give its passphrase with --passphrase-file, or its key with --identity")
	}
	passphrase, err := s.passphrase(c, false)
	if err != nil {
		return nil, err
	}
	i, err := backup.WithPassphrase(passphrase)
	return []age.Identity{i}, err
}

// passphrase reads the passphrase. It is never an argument: those are seen by
// everybody on the machine.
func (s *secret) passphrase(c *cobra.Command, twice bool) (string, error) {
	f, ok := c.InOrStdin().(*os.File)
	if s.file != "" || !ok || !term.IsTerminal(int(f.Fd())) {
		return (&senior{file: s.file}).passphrase(c)
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(c.ErrOrStderr(), prompt)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	first, err := ask("Passphrase of the backup: ")
	if err != nil || !twice {
		return first, err
	}
	again, err := ask("Once more: ")
	if err == nil && again != first {
		err = errors.New("the two passphrases are not the same")
	}
	return first, err
}
