package app

// accountWalls are the rows of the table of operations about people and how they
// sign in. Accounts are the whole collector's, and the console's owner may ask.
func accountWalls() map[string]wall {
	table := map[string]wall{
		"sign-on.add": {school: func(s string) any {
			return SignOnArguments{ID: "x", Name: "x", Issuer: "https://accounts.example", Client: "x", Schools: []string{s}}
		}},
	}
	for _, name := range []string{"account.grant", "account.revoke"} {
		table[name] = wall{school: func(s string) any { return GrantArguments{Name: "x", Role: "head", School: s} }, every: true}
	}
	for _, name := range []string{
		"account.password", "account.remove", "account.let-in", "account.drop-second", "account.sessions", "account.sign-out", "account.second-step", "account.log",
		"sign-on.list", "sign-on.remove",
	} {
		table[name] = wall{}
	}
	return table
}
