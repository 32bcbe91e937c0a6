package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caretaker-school/caretaker/agent/app"
	"github.com/caretaker-school/caretaker/agent/route"
)

// proxyCommand says and sets by which way the school is reached.
func proxyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "proxy",
		Short: "Say or set by which way this laptop reaches its school",
		Long: "Say or set by which way this laptop reaches its school.\n" +
			"Without a setting the agent goes through the proxy that its service's environment names in HTTPS_PROXY, through the\n" +
			"one that the system is set to use, and straight, whichever leads there; it remembers which did. A proxy that is set\n" +
			"here is tried before those. The service uses a new setting when it next connects.\n" +
			"Proxies are spoken to over plain HTTP (CONNECT); what passes through is encrypted between laptop and collector, and a\n" +
			"filter must not open it. A proxy that wants a Windows sign-in (Negotiate, NTLM) cannot be used by a service.",
		Args: cobra.NoArgs,
	}
	c.AddCommand(proxyShowCommand(), proxySetCommand(),
		proxyUseCommand("straight", "Go straight, and through no proxy", route.Setting{Use: route.UseDirect}),
		proxyUseCommand("automatic", "Forget what was set, and go as the environment and the system say", route.Setting{}))
	return c
}

func proxyShowCommand() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:   "show",
		Short: "Say what is set; never a password",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := route.Load(state)
			if err != nil {
				return err
			}
			sayWay(c, s)
			return nil
		},
	}
	stateFlag(c, &state)
	return c
}

func proxySetCommand() *cobra.Command {
	var state string
	var config app.ProxyConfig
	c := &cobra.Command{
		Use:   "set HOST:PORT",
		Short: "Go through a proxy",
		Long: "Go through a proxy. A password is read from a file, or from standard input with -, and kept in a file of the state\n" +
			"folder that the service alone can read. It is in no log and no status.",
		Example: "  caretaker-agent proxy set filter.hollybank.example:8080\n" +
			"  caretaker-agent proxy set filter.hollybank.example:8080 --user laptops --password-file -",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			config.Proxy, config.Stdin = args[0], c.InOrStdin()
			s, err := config.Setting()
			if err != nil {
				return err
			}
			return setWay(c, state, s)
		},
	}
	stateFlag(c, &state)
	c.Flags().StringVar(&config.User, "user", "", "the name that the proxy wants")
	c.Flags().StringVar(&config.PasswordFile, "password-file", "", "a file with the password that the proxy wants; - reads it from standard input")
	return c
}

func proxyUseCommand(use, short string, s route.Setting) *cobra.Command {
	var state string
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return setWay(c, state, s) },
	}
	stateFlag(c, &state)
	return c
}

func setWay(c *cobra.Command, state string, s route.Setting) error {
	if err := s.Save(state); err != nil {
		return err
	}
	sayWay(c, s)
	return nil
}

func sayWay(c *cobra.Command, s route.Setting) {
	fmt.Fprintf(c.OutOrStdout(), "This laptop goes to its school %s.\n", s.Words())
}
