package notify

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// sendMail hands a notice to the mail server. Its Message-ID is the notice's own
// however often it is sent, so that a mailbox can drop what it has.
func sendMail(ctx context.Context, settings Settings, c Channel, n Notice, zone *time.Location) error {
	m, err := message(settings, c, n, zone)
	if err != nil {
		return err
	}
	host, portText, err := net.SplitHostPort(settings.Mail.Address)
	if err != nil {
		return fmt.Errorf("read the mail server's address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("read the mail server's port: %w", err)
	}
	config, err := tlsTo(settings, host)
	if err != nil {
		return err
	}
	options := []mail.Option{
		mail.WithPort(port), mail.WithTLSConfig(config), mail.WithTimeout(deadline), mail.WithHELO(helo(settings.Mail.From)),
		mail.WithoutNoop(),
	}
	connect := dial
	switch settings.Mail.Protection {
	case TLS:
		options = append(options, mail.WithSSL())
		connect = func(ctx context.Context, network, address string) (net.Conn, error) {
			inner, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			outer := tls.Client(inner, config)
			if err := outer.HandshakeContext(ctx); err != nil {
				inner.Close()
				return nil, err
			}
			return outer, nil
		}
	case Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	// The library ends the context that it dials with when it has connected;
	// the connection is bound to the attempt's.
	options = append(options, mail.WithDialContextFunc(func(_ context.Context, network, address string) (net.Conn, error) {
		return connect(ctx, network, address)
	}))
	if settings.Mail.User != "" {
		options = append(options, mail.WithUsername(settings.Mail.User), mail.WithPassword(settings.Mail.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return fmt.Errorf("prepare mail: %w", err)
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	if err := client.SendWithSMTPClient(conn, m); err != nil {
		conn.Close()
		return fmt.Errorf("hand over mail: %w", err)
	}
	// The server has taken it: what it says to a goodbye changes nothing.
	_ = client.CloseWithSMTPClient(conn)
	return nil
}

// message writes a notice as mail.
func message(settings Settings, c Channel, n Notice, zone *time.Location) (*mail.Msg, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(settings.Mail.From); err != nil {
		return nil, fmt.Errorf("address mail: %w", err)
	}
	if err := m.To(c.Address); err != nil {
		return nil, fmt.Errorf("address mail: %w", err)
	}
	m.Subject(n.Subject())
	m.SetDateWithValue(n.At.In(zone))
	m.SetMessageIDWithValue(n.ID + "@" + helo(settings.Mail.From))
	m.SetGenHeader("X-Caretaker-Notice", n.ID)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // so that no holiday reply comes back
	m.SetBodyString(mail.TypeTextPlain, n.Text(zone))
	return m, nil
}

// helo is the domain of an address.
func helo(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}
