package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Signature signs a webhook's body as it was sent at a moment: the hexadecimal
// HMAC-SHA-256, by the channel's secret, of the moment in seconds since 1970, a
// full stop, and the body.
func Signature(secret string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(strconv.FormatInt(at.Unix(), 10) + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// The headers of a webhook.
const (
	HeaderSignature = "Caretaker-Signature" // t=SECONDS,v1=SIGNATURE
	HeaderKey       = "Idempotency-Key"     // the notice's identifier
)

func sendWebhook(ctx context.Context, settings Settings, c Channel, n Notice, now time.Time) error {
	body, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write a notice: %w", err)
	}
	return post(ctx, settings, c.Address, body, map[string]string{
		HeaderKey:       n.ID,
		HeaderSignature: "t=" + strconv.FormatInt(now.Unix(), 10) + ",v1=" + Signature(c.Secret, now, body),
	})
}

// post sends a body over TLS. It follows nobody elsewhere and reads little of
// the answer. A proxy that the service's environment names is used.
func post(ctx context.Context, settings Settings, address string, body []byte, headers map[string]string) error {
	u, err := checkURL(address)
	if err != nil {
		return err
	}
	config, err := tlsTo(settings, u.Hostname())
	if err != nil {
		return err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSClientConfig: config, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be asked") // it may be a secret
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "caretaker-collector")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	// Some receivers want their answer read; none has much to say, and what it
	// has said by then counts.
	_, _ = io.CopyN(io.Discard, answer.Body, 16<<10)
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Errorf("it answered %d and wants the notice elsewhere, which is not followed: give the address that takes it", answer.StatusCode)
	case answer.StatusCode < 200 || answer.StatusCode >= 300:
		return fmt.Errorf("it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return nil
}
