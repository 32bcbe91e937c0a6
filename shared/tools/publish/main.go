// Publish makes releases of the agent as laptops take them: signed offline, by
// several people, each with a key of their own (shared/docs/updates.md).
//
//	publish key FILE                       make a key: FILE is secret, FILE.pub is not
//	publish root DIR --release A.pub,B.pub,C.pub --threshold 2 --fresh D.pub
//	publish release DIR --version v1.2.0 linux-amd64=PROGRAM windows-amd64=PROGRAM …
//	publish refresh DIR                    say anew that the release is the current one
//	publish sign DIR --key FILE            on the machine of whoever holds the key
//	publish check DIR [--root FILE]        see what is signed, as a laptop does
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/shared/publisher"
	"github.com/caretaker-school/caretaker/shared/tools/publish/signing"
)

func main() {
	c := &cobra.Command{Use: "publish", Short: "Make releases of the agent, signed offline", SilenceUsage: true, SilenceErrors: true}
	c.AddCommand(keyCommand(), rootCommand(), releaseCommand(), refreshCommand(), signCommand(), checkCommand())
	if err := c.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func keyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key FILE", Short: "Make a key: FILE is secret, FILE.pub is not", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return fmt.Errorf("make a key: %w", err)
			}
			secret, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				return fmt.Errorf("write a key: %w", err)
			}
			open, err := x509.MarshalPKIXPublicKey(public)
			if err != nil {
				return fmt.Errorf("write a key: %w", err)
			}
			if err := writeNew(args[0], "PRIVATE KEY", secret, 0o600); err != nil {
				return err
			}
			return writeNew(args[0]+".pub", "PUBLIC KEY", open, 0o644)
		},
	}
}

// writeNew writes a file that must not be there yet: a key that is written over is
// lost.
func writeNew(path, kind string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: data}), f.Close())
}

func readKey[K any](path string, parse func([]byte) (any, error)) (key K, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return key, fmt.Errorf("read a key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return key, fmt.Errorf("read a key: %s holds none", path)
	}
	parsed, err := parse(block.Bytes)
	if err != nil {
		return key, fmt.Errorf("read the key %s: %w", path, err)
	}
	key, ok := parsed.(K)
	if !ok {
		return key, fmt.Errorf("read the key %s: it is of another sort", path)
	}
	return key, nil
}

func publicKeys(paths []string) (keys []ed25519.PublicKey, err error) {
	for _, path := range paths {
		key, err := readKey[ed25519.PublicKey](path, x509.ParsePKIXPublicKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func rootCommand() *cobra.Command {
	var release, fresh []string
	var threshold, days int
	c := &cobra.Command{
		Use: "root DIR", Short: "Say who may sign: the first time, and whenever a key changes", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k := signing.Keys{Threshold: threshold}
			var err error
			if k.Release, err = publicKeys(release); err != nil {
				return err
			}
			if k.Fresh, err = publicKeys(fresh); err != nil {
				return err
			}
			n, err := signing.Folder(args[0]).Root(k, inDays(days))
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "Root %d waits for %d signatures of its release keys, and of as many of those before.\n", n, threshold)
			}
			return err
		},
	}
	c.Flags().StringSliceVar(&release, "release", nil, "public keys of those who sign releases")
	c.Flags().StringSliceVar(&fresh, "fresh", nil, "public keys of those who say which release is current")
	c.Flags().IntVar(&threshold, "threshold", 2, "how many release keys must sign")
	c.Flags().IntVar(&days, "days", 5*365, "for how many days it holds")
	return c
}

func inDays(n int) time.Time { return time.Now().AddDate(0, 0, n) }

func releaseCommand() *cobra.Command {
	var version string
	var days, fresh int
	c := &cobra.Command{
		Use: "release DIR SYSTEM=PROGRAM…", Short: "Put a version into the folder, for people to sign", Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			programs := map[string]string{}
			for _, arg := range args[1:] {
				system, program, ok := strings.Cut(arg, "=")
				if !ok {
					return fmt.Errorf("%q is not of the form linux-amd64=PROGRAM", arg)
				}
				programs[system] = program
			}
			err := signing.Folder(args[0]).Release(version, programs, signing.Lasts{Release: inDays(days), Fresh: inDays(fresh)})
			if err == nil {
				fmt.Fprintln(c.OutOrStdout(), "It waits for signatures: publish sign, on the machine of each who holds a key.")
			}
			return err
		},
	}
	c.Flags().StringVar(&version, "version", "", "such as v1.2.0; it must rise")
	c.Flags().IntVar(&days, "days", 2*365, "for how many days the list of programs holds")
	freshFlag(c, &fresh)
	return c
}

func freshFlag(c *cobra.Command, days *int) {
	c.Flags().IntVar(days, "fresh-days", 365, "for how many days it is said to be the current one")
}

func refreshCommand() *cobra.Command {
	var days int
	c := &cobra.Command{
		Use: "refresh DIR", Short: "Say anew that the release is the current one, before that expires", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return signing.Folder(args[0]).Refresh(inDays(days)) },
	}
	freshFlag(c, &days)
	return c
}

func signCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "sign DIR --key FILE", Short: "Sign whatever a key is for", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := readKey[ed25519.PrivateKey](path, x509.ParsePKCS8PrivateKey)
			if err != nil {
				return err
			}
			signed, err := signing.Folder(args[0]).Sign(key)
			if err != nil {
				return err
			}
			if len(signed) == 0 {
				return errors.New("this key is for nothing in that folder")
			}
			fmt.Fprintln(c.OutOrStdout(), "Signed:", strings.Join(signed, ", "))
			return nil
		},
	}
	c.Flags().StringVar(&path, "key", "", "the secret key")
	return c
}

func checkCommand() *cobra.Command {
	var root string
	c := &cobra.Command{
		Use: "check DIR", Short: "See what is signed, as a laptop does", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if root == "" {
				root = filepath.Join(args[0], "metadata", "1.root.json")
			}
			trusted, err := os.ReadFile(root)
			if err != nil {
				return fmt.Errorf("read the trusted root: %w", err)
			}
			m, err := publisher.ReadFolder(os.DirFS(args[0]))
			if err != nil {
				return err
			}
			r, _, err := publisher.Check(trusted, publisher.Metadata{}, m, time.Now())
			if err != nil {
				return err
			}
			if err := publisher.CheckPrograms(os.DirFS(args[0]), r); err != nil {
				return err
			}
			say(c.OutOrStdout(), r)
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "", "the root that programs are built with; without it, the folder's first")
	return c
}

func say(w io.Writer, r publisher.Release) {
	fmt.Fprintf(w, "%s is signed, and taken until %s.\n", r.Version, r.Expires.Format("2 January 2006"))
	for _, p := range r.Programs {
		fmt.Fprintf(w, "  %-14s %9d bytes  %x\n", p.Platform, p.Length, p.SHA256)
	}
}
