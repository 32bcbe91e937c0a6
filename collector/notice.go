package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/collector/access"
	"github.com/caretaker-school/caretaker/collector/app"
	"github.com/caretaker-school/caretaker/collector/notify"
)

func noticeCommand(o *options) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "List the ways for notices, and how things stand with each",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "notice.list", struct{}{}, func(a app.NoticesAnswer) { showNotices(c.OutOrStdout(), a) })
		},
	}
	remove := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a way for notices, with the memory of what was told there",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			return operate(c, o, "notice.remove", app.NoticeArguments{ID: rest[0]}, func(s notify.ChannelStatus) {
				fmt.Fprintf(c.OutOrStdout(), "Nothing is told to %s %s any more.\n", s.Kind, s.To)
			})
		},
	}
	test := &cobra.Command{
		Use:   "test ID",
		Short: "Send a notice that says that it is a test, now and once",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, rest []string) error {
			return operate(c, o, "notice.test", app.NoticeArguments{ID: rest[0]}, func(s notify.ChannelStatus) {
				fmt.Fprintf(c.OutOrStdout(), "A test was handed to %s %s.\n", s.Kind, s.To)
			})
		},
	}
	log := &cobra.Command{
		Use:   "log",
		Short: "List the notices that were delivered or given up, newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operate(c, o, "notice.log", struct{}{}, func(all []notify.Logged) {
				for _, l := range all {
					how := "delivered " + when(l.Delivered)
					if l.Delivered.IsZero() {
						how = "GIVEN UP  " + when(l.GivenUp)
					}
					fmt.Fprintf(c.OutOrStdout(), "%s  to %s  %s\n", how, l.Channel, l.Subject)
					if l.Why != "" {
						fmt.Fprintf(c.OutOrStdout(), "  %s failed: %s\n", count(l.Attempts, "attempt", "attempts"), l.Why)
					}
				}
			})
		},
	}
	g := group("notice", "How people are told of policy breaches", noticeAddCommand(o), list, noticeSetCommand(o), test, remove, log)
	g.Long = "How people are told of policy breaches: by mail, in Teams, or by a program of their own. What is new is told\n" +
		"once a day, in term time, one line for each cause; at once, and in holidays too, only where data could be read by\n" +
		"whoever finds a laptop or a stick. Nothing is told twice, unless it comes to matter more."
	return g
}

func noticeAddCommand(o *options) *cobra.Command {
	var args app.NoticeArguments
	var secretFile string
	c := &cobra.Command{
		Use:   "add mail|webhook|teams|syslog ADDRESS",
		Short: "Tell somebody: by mail, in Teams, a program, or a log server",
		Long: "Tell somebody of what a role can act on: technicians and administrators of everything, the data-protection\n" +
			"officer of encryption, a head of what has come to matter most; the last two of the hours to tell the regulator of\n" +
			"an incident, too. The officer's mail and webhook bring signed checkpoints of the record (ledger verify --against).\n\n" +
			"  mail office@school.example        through the server of notice set --mail-server\n" +
			"  teams https://…                   the address of a workflow \"when a Teams webhook request is received\"\n" +
			"  webhook https://…                 JSON, signed with a secret that is printed once (shared/docs/notices.md)\n" +
			"  syslog tls://HOST:PORT            RFC 5424; udp:// and tcp:// too; each cause as it happens, holidays or not\n\n" +
			"An address that is a secret in itself is given as -, and read from the standard input.",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, rest []string) (err error) {
			args.Kind, args.Address = notify.Kind(rest[0]), rest[1]
			if args.Address == "-" {
				if args.Address, err = secretIn(c.InOrStdin()); err != nil {
					return err
				}
			}
			made := false
			if args.Kind == notify.Webhook {
				if args.Secret, made, err = webhookSecret(secretFile); err != nil {
					return err
				}
			}
			return operate(c, o, "notice.add", args, func(s notify.ChannelStatus) {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s %s is told what a %s can act on. Try it: notice test %s\n", s.ID, s.Kind, s.To, s.Role, s.ID)
				if made {
					fmt.Fprintf(c.OutOrStdout(), "The secret with which its notices are signed; it is not shown again:\n  %s\n", args.Secret)
				}
			})
		},
	}
	schoolFlag(c, &args.School)
	f := c.Flags()
	f.BoolVar(&args.Every, "every-school", false, "tell of every school, those made later too")
	f.StringVar(&args.Role, "role", string(access.Technician), "what is told: administrator, technician, dpo or head")
	f.StringVar(&secretFile, "secret-file", "", "file with the secret of a webhook (default: one is made)")
	return c
}

func noticeSetCommand(o *options) *cobra.Command {
	var pages, digest, ca, server, protection, from, account, passwordFile string
	c := &cobra.Command{
		Use:   "set",
		Short: "Set the mail server, when the digest is made, and where the pages are",
		Long:  "Set what all notices share. What is not given stays as it is. A password is read from a file, or with - from\nthe standard input; it is kept in a file that only the collector's account can read.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var a app.NoticeSettings
			given := func(name string, value string, to **string) {
				if c.Flags().Changed(name) {
					*to = &value
				}
			}
			given("pages", pages, &a.Pages)
			given("digest", digest, &a.Digest)
			given("mail-server", server, &a.MailServer)
			given("mail-from", from, &a.MailFrom)
			given("mail-user", account, &a.MailUser)
			if c.Flags().Changed("mail-tls") {
				p := notify.Protection(protection)
				a.MailTLS = &p
			}
			if ca != "" {
				text, err := os.ReadFile(ca)
				if err != nil {
					return fmt.Errorf("read the authorities: %w", err)
				}
				authorities := string(text)
				a.Authorities = &authorities
			}
			if passwordFile != "" {
				password, err := secretFrom(c.InOrStdin(), passwordFile)
				if err != nil {
					return err
				}
				a.MailPassword = &password
			}
			return operate(c, o, "notice.set", a, func(a app.NoticesAnswer) { showNotices(c.OutOrStdout(), a) })
		},
	}
	f := c.Flags()
	f.StringVar(&pages, "pages", "", "where people reach the pages, such as https://caretaker.school.example")
	f.StringVar(&digest, "digest", "", "when the day's digest is made, such as 07:30, in the zone of serve --time-zone")
	f.StringVar(&ca, "ca", "", "PEM file with certificates of servers that are trusted beside the system's")
	f.StringVar(&server, "mail-server", "", "HOST:PORT of the server that takes mail")
	f.StringVar(&protection, "mail-tls", "", "how it is spoken to: starttls (if nothing is said), tls, or none for a server on this machine")
	f.StringVar(&from, "mail-from", "", "address that notices come from")
	f.StringVar(&account, "mail-user", "", "account at the server, if it wants one")
	f.StringVar(&passwordFile, "mail-password-file", "", "file with its password; - reads it from the standard input")
	return c
}

func showNotices(w io.Writer, a app.NoticesAnswer) {
	if a.Trouble != "" {
		fmt.Fprintf(w, "NOTHING IS TOLD: %s\n", a.Trouble)
	}
	digest := a.Digest
	if digest == "" {
		digest = "07:30"
	}
	fmt.Fprintf(w, "The day's digest is made at %s.\n", digest)
	if a.Mail.Address != "" {
		fmt.Fprintf(w, "Mail goes through %s (%s), from %s.\n", a.Mail.Address, a.Mail.TLS, a.Mail.From)
	}
	if a.Pages != "" {
		fmt.Fprintf(w, "Notices lead to %s.\n", a.Pages)
	}
	if len(a.Channels) == 0 {
		fmt.Fprintln(w, "Nobody is told of anything yet: notice add")
	}
	for _, s := range a.Channels {
		fmt.Fprintf(w, "%-10s %-8s %-14s school %-14s %s\n", s.ID, s.Kind, s.Role, s.School, s.To)
		switch {
		case s.Attempts > 0:
			fmt.Fprintf(w, "           FAILING since %s, %s; next %s: %s\n", when(s.Failing), count(s.Attempts, "attempt", "attempts"), when(s.Next), s.Why)
		case s.Delivered > 0:
			fmt.Fprintf(w, "           %s delivered, the last %s\n", count(s.Delivered, "notice", "notices"), when(s.LastDelivery))
		}
	}
}

// webhookSecret reads the secret of a webhook, or makes one.
func webhookSecret(file string) (secret string, made bool, err error) {
	if file != "" {
		secret, err = secretFrom(nil, file)
		return secret, false, err
	}
	b := make([]byte, 24)
	if _, err := rand.Read(b); err != nil {
		return "", false, fmt.Errorf("make a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), true, nil
}

// secretFrom reads a secret from a file; - is the standard input.
func secretFrom(in io.Reader, file string) (string, error) {
	if file == "-" && in != nil {
		return secretIn(in)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	defer f.Close()
	return secretIn(f)
}

// mostSecret bounds a secret, in bytes.
const mostSecret = 4096

func secretIn(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, mostSecret+1))
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if len(text) > mostSecret || secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", errors.New("a secret is one line of at most 4096 characters")
	}
	return secret, nil
}
