#!/bin/sh
# build.sh DIST VERSION: make the agent's MSI in DIST, for each
# DIST/windows-ARCH/caretaker-agent.exe. Needs wixl and msitools.
#
# With SIGN_KEY=FILE.p12 and SIGN_PASSWORD_FILE=FILE the program and the MSI are
# signed (osslsigncode), and stamped by the time server SIGN_TIME if that is given.
set -eu
cd "$(dirname "$0")/../.."
dist=$(cd "$1" && pwd)
source=$PWD/installers/windows/agent.wxs
# Windows compares three numbers, of which the last counts the commits since a
# release: what git calls v1.2.0-4-gabcdef is 1.2.4 here, and a tree without a
# release 0.0.0.
version=$(printf %s "$2" | sed -nE 's/^v?([0-9]+)\.([0-9]+)(\.([0-9]+))?(-([0-9]+)-.*)?$/\1 \2 \4 \6/p')
# shellcheck disable=SC2086 # the numbers are meant to be split
set -- ${version:-0 0 0}
version=$1.$2.$((${3:-0} + ${4:-0}))

sign() {
	[ -n "${SIGN_KEY:-}" ] || return 0
	# shellcheck disable=SC2086 # the option is left out without a server
	osslsigncode sign -h sha256 -pkcs12 "$SIGN_KEY" -readpass "$SIGN_PASSWORD_FILE" -n 'Caretaker agent' \
		${SIGN_TIME:+-ts "$SIGN_TIME"} -in "$1" -out "$1.signed" >/dev/null
	mv "$1.signed" "$1"
}

for programs in "$dist"/windows-*; do
	arch=${programs##*/windows-}
	case $arch in
	amd64) template='x64;1033' ;;
	arm64) template='Arm64;1033' ;;
	*) echo "build: no MSI for windows/$arch" >&2 && exit 1 ;;
	esac
	msi=$dist/caretaker-agent-$version-$arch.msi
	sign "$programs/caretaker-agent.exe"
	(cd "$programs" && wixl -a x64 -D "Version=$version" -D Program=caretaker-agent.exe -o "$msi" "$source") # it knows relative paths alone
	# The old version goes inside the transaction that brings the new one: an
	# upgrade that fails leaves the laptop as it was. An installer that is
	# elevated gets these properties from whoever started it, and none writes the
	# token or the proxy to its log (8192 hides an action's arguments).
	msibuild "$msi" \
		-q "UPDATE \`InstallExecuteSequence\` SET \`Sequence\` = 1501 WHERE \`Action\` = 'RemoveExistingProducts'" \
		-q "UPDATE \`Property\` SET \`Value\` = 'TOKEN;CLASS;PROXY;PROXYUSER;PROXYPASSWORDFILE;FORGET;WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED' WHERE \`Property\` = 'SecureCustomProperties'" \
		-q "UPDATE \`CustomAction\` SET \`Type\` = 11282 WHERE \`Action\` = 'CaretakerEnroll'" \
		-q "UPDATE \`CustomAction\` SET \`Type\` = 51, \`Target\` = '' WHERE \`Action\` = 'ForgetToken' OR \`Action\` = 'ForgetProxy'" \
		-q "INSERT INTO \`LaunchCondition\` (\`Condition\`, \`Description\`) VALUES ('Installed OR VersionNT64 >= 603', 'The Caretaker agent needs Windows 10 or later.')"
	msibuild "$msi" -s 'Caretaker agent' Caretaker "$template" "$(msiinfo suminfo "$msi" | sed -n 's/^Revision number.*: //p')"
	sign "$msi"
done
