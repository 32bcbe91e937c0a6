package probe

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// windowsChannel is a group of editions whose support ends on one day.
type windowsChannel uint8

const (
	unknownChannel  windowsChannel = iota
	homePro                        // Home, Pro, Pro Education, Pro for Workstations, SE
	enterpriseEdu                  // Enterprise, Education, IoT Enterprise, multi-session
	longTerm                       // Enterprise LTSC
	longTermIoT                    // IoT Enterprise LTSC
	serverEditions                 // Windows Server
	windowsChannels                // how many there are
)

// windowsSupportRow says until when Microsoft mends one build, by channel, as
// the last day; "" where a channel has no such build.
type windowsSupportRow struct {
	build int64
	ends  [windowsChannels]string
}

// windowsSupport was put together on 22 November 2026, from Microsoft's pages
// of release information and life cycles as others have copied them
// (endoflife.date; DataForGeeks, February 2026; win11-eos-audit 1.1.1 of 4
// November 2026 for 26H1 and 26H2). Extended security updates are a further
// contract of which a machine does not tell, and are not part of it: neither
// of Windows 10 after October 2025 nor of servers. A build that is not listed,
// as those of the Insider programme are not, is not known, never unsupported.
var windowsSupport = []windowsSupportRow{
	{10240, ends(homePro, "2017-05-09", enterpriseEdu, "2017-05-09", longTerm, "2025-10-14")},
	{10586, ends(homePro, "2017-10-10", enterpriseEdu, "2018-04-10")},
	{14393, ends(homePro, "2018-04-10", enterpriseEdu, "2019-04-09", longTerm, "2026-10-13", longTermIoT, "2026-10-13", serverEditions, "2027-01-12")},
	{15063, ends(homePro, "2018-10-09", enterpriseEdu, "2019-10-08")},
	{16299, ends(homePro, "2019-04-09", enterpriseEdu, "2020-10-13", serverEditions, "2019-04-09")},
	{17134, ends(homePro, "2019-11-12", enterpriseEdu, "2021-05-11", serverEditions, "2019-11-12")},
	{17763, ends(homePro, "2020-11-10", enterpriseEdu, "2021-05-11", longTerm, "2029-01-09", longTermIoT, "2029-01-09", serverEditions, "2029-01-09")},
	{18362, ends(homePro, "2020-12-08", enterpriseEdu, "2020-12-08", serverEditions, "2020-12-08")},
	{18363, ends(homePro, "2021-05-11", enterpriseEdu, "2022-05-10", serverEditions, "2021-05-11")},
	{19041, ends(homePro, "2021-12-14", enterpriseEdu, "2021-12-14", serverEditions, "2021-12-14")},
	{19042, ends(homePro, "2022-05-10", enterpriseEdu, "2023-05-09", serverEditions, "2022-08-09")},
	{19043, ends(homePro, "2022-12-13", enterpriseEdu, "2022-12-13")},
	{19044, ends(homePro, "2023-06-13", enterpriseEdu, "2024-06-11", longTerm, "2027-01-12", longTermIoT, "2032-01-13")},
	{19045, ends(homePro, "2025-10-14", enterpriseEdu, "2025-10-14")},
	{20348, ends(serverEditions, "2031-10-14")},
	{22000, ends(homePro, "2023-10-10", enterpriseEdu, "2024-10-08")},
	{22621, ends(homePro, "2024-10-08", enterpriseEdu, "2025-10-14")},
	{22631, ends(homePro, "2025-11-11", enterpriseEdu, "2026-11-10")},
	{25398, ends(serverEditions, "2025-10-24")},
	{26100, ends(homePro, "2026-10-13", enterpriseEdu, "2027-10-12", longTerm, "2029-10-09", longTermIoT, "2034-10-10", serverEditions, "2034-10-10")},
	{26200, ends(homePro, "2027-10-12", enterpriseEdu, "2028-10-10")},
	{26300, ends(homePro, "2028-10-10", enterpriseEdu, "2029-10-09")},
	{28000, ends(homePro, "2028-03-14", enterpriseEdu, "2029-03-13")},
}

// ends makes a row of pairs of a channel and a day.
func ends(pairs ...any) (row [windowsChannels]string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		row[pairs[i].(windowsChannel)] = pairs[i+1].(string)
	}
	return row
}

// windowsEditions are the channels of the editions, by what EditionID says.
var windowsEditions = map[string]windowsChannel{
	"core": homePro, "coresinglelanguage": homePro, "corecountryspecific": homePro, "cloudedition": homePro,
	"professional": homePro, "professionaleducation": homePro, "professionalworkstation": homePro,
	"professionalsinglelanguage": homePro, "professionalcountryspecific": homePro,
	"enterprise": enterpriseEdu, "education": enterpriseEdu, "iotenterprise": enterpriseEdu, "serverrdsh": enterpriseEdu,
	"enterprises": longTerm, "iotenterprises": longTermIoT, "iotenterprisesk": longTermIoT,
	"serverstandard": serverEditions, "serverdatacenter": serverEditions, "serverstandardcore": serverEditions,
	"serverdatacentercore": serverEditions, "serversolution": serverEditions,
	"serverstandardcor": serverEditions, "serverdatacentercor": serverEditions, "serverturbine": serverEditions,
}

func channelOf(edition string) windowsChannel {
	edition = strings.ToLower(strings.TrimSpace(edition))
	if c, ok := windowsEditions[edition]; ok {
		return c
	}
	return windowsEditions[strings.TrimSuffix(edition, "n")] // without a media player, for Europe
}

// windowsOSSupport reports whether this build and edition is still mended at
// now, and until when.
func windowsOSSupport(ctx context.Context, sys system.Reader, now time.Time) (posture.Reading[bool], posture.Reading[time.Time]) {
	key, err := mustSettings(ctx, sys, versionKey)
	if err != nil {
		return absentFor[bool](err), absentFor[time.Time](err)
	}
	number, toldBuild, err := key.text("CurrentBuildNumber")
	edition, toldEdition, editionErr := key.text("EditionID")
	if err == nil {
		err = editionErr
	}
	if err != nil {
		return absentFor[bool](err), absentFor[time.Time](err)
	}
	build, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
	if err != nil || !toldBuild || !toldEdition {
		return posture.Unread[bool](posture.Unreadable), posture.Unread[time.Time](posture.Unreadable)
	}
	end, ok := windowsSupportEnd(build, edition)
	if !ok {
		return unsupported[bool](), unsupportedTime
	}
	return posture.Read(now.Before(end)), posture.Read(end)
}

// windowsSupportEnd returns the moment at which support ends; false if that is
// not known.
func windowsSupportEnd(build int64, edition string) (time.Time, bool) {
	channel := channelOf(edition)
	for _, row := range windowsSupport {
		if row.build == build && channel != unknownChannel {
			return lastDay(row.ends[channel])
		}
	}
	return time.Time{}, false
}
