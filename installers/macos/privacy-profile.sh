#!/bin/sh
# Writes the profile that grants Caretaker Full Disk Access to standard output.
#
#   privacy-profile.sh TEAM ORGANISATION [UUID UUID UUID]
#
# TEAM is the identifier that Apple gave to whoever signed the agent: ten capital
# letters and digits, as "codesign -dv" shows it. ORGANISATION is the school's
# name as people are to see it. The identifiers of the profile are drawn at random
# unless they are given; give those of the profile that this one replaces.
set -eu

fail() { echo "privacy-profile.sh: $1" >&2; exit 2; }

[ $# -eq 2 ] || [ $# -eq 5 ] || fail "usage: privacy-profile.sh TEAM ORGANISATION [UUID UUID UUID]"
case $1 in
*[!A-Z0-9]*) fail "the team is ten capital letters and digits" ;;
??????????) ;;
*) fail "the team is ten capital letters and digits" ;;
esac
case $2 in
'' | *[\<\>\&\|\\]* | *'
'*) fail "the organisation's name is one line without < > & | and \\" ;;
esac
team=$1 organisation=$2
shift 2

draw() { uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid; }
[ $# -eq 3 ] || set -- "$(draw)" "$(draw)" "$(draw)"
for id in "$@"; do
	case $id in
	*[!0-9A-Fa-f-]*) fail "$id is not a UUID" ;;
	????????-????-????-????-????????????) ;;
	*) fail "$id is not a UUID" ;;
	esac
done

sed -e "s|@TEAM@|$team|g" -e "s|@ORGANISATION@|$organisation|g" \
	-e "s|@UUID1@|$1|g" -e "s|@UUID2@|$2|g" -e "s|@UUID3@|$3|g" \
	"$(dirname "$0")/caretaker-privacy.mobileconfig.in"
