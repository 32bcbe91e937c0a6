package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"
)

// patience bounds one attempt at a certificate.
const patience = 10 * time.Minute

// obtain asks the authority for a certificate with a new key.
func (k *Keeper) obtain(ctx context.Context) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &acme.Client{Key: k.account, DirectoryURL: k.Directory, UserAgent: "caretaker-collector", HTTPClient: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 30 * time.Second,
			TLSClientConfig: &tls.Config{RootCAs: k.roots, MinVersion: tls.VersionTLS12},
		},
	}}
	defer client.HTTPClient.CloseIdleConnections()
	agree := func(string) bool { return k.Agreed }
	if _, err := client.Register(ctx, &acme.Account{Contact: k.mailboxes}, agree); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("open an account at %s: %w", k.Directory, err)
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(k.Names...))
	if err != nil {
		return nil, fmt.Errorf("order a certificate at %s: %w", k.Directory, err)
	}
	for _, address := range order.AuthzURLs {
		if err := k.prove(ctx, client, address); err != nil {
			return nil, err
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("wait for the order of a certificate: %w", err)
	}
	return k.fetch(ctx, client, order)
}

// kind is the kind of proof that the authority is to look for.
func (k *Keeper) kind() string {
	if k.Plain {
		return "http-01"
	}
	return "tls-alpn-01"
}

// prove shows the authority that a name leads here.
func (k *Keeper) prove(ctx context.Context, client *acme.Client, address string) error {
	asked, err := client.GetAuthorization(ctx, address)
	if err != nil {
		return fmt.Errorf("ask what is to be proven: %w", err)
	}
	name := asked.Identifier.Value
	if asked.Status == acme.StatusValid {
		return nil
	}
	var challenge *acme.Challenge
	for _, c := range asked.Challenges {
		if c.Type == k.kind() {
			challenge = c
		}
	}
	if challenge == nil {
		return fmt.Errorf("prove that %s leads here: the authority does not offer %s", name, k.kind())
	}
	withdraw, err := k.proofs.put(client, name, challenge)
	if err != nil {
		return fmt.Errorf("prove that %s leads here: %w", name, err)
	}
	defer withdraw()
	if _, err := client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("prove that %s leads here: %w", name, err)
	}
	if _, err := client.WaitAuthorization(ctx, address); err != nil {
		return fmt.Errorf("prove that %s leads here: %w", name, err)
	}
	return nil
}

// fetch makes a key and fetches the certificate of an order that is granted.
func (k *Keeper) fetch(ctx context.Context, client *acme.Client, order *acme.Order) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: k.Names}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate: %w", err)
	}
	pair := &tls.Certificate{Certificate: chain, PrivateKey: key}
	if err := k.usable(pair); err != nil {
		return nil, fmt.Errorf("use the certificate that the authority made: %w", err)
	}
	return pair, nil
}

// usable checks that a certificate is for the key beside it and for every name,
// and reads its leaf.
func (k *Keeper) usable(pair *tls.Certificate) error {
	if len(pair.Certificate) == 0 {
		return errors.New("there is none")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	own, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !own.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("it is for another key")
	}
	for _, name := range k.Names {
		if err := leaf.VerifyHostname(name); err != nil {
			return err
		}
	}
	pair.Leaf = leaf
	return nil
}
