#!/usr/bin/env bash
# Installs Debian packages that tests and benchmarks need and that are not there yet; says so where it cannot.
# Usage: deploy/packages.sh PACKAGE... ; COMMAND:PACKAGE stands for a package that is wanted only where COMMAND is missing.
set -u
missing=()
for wanted in "$@"; do
  package=${wanted#*:}
  [ "$package" != "$wanted" ] && command -v "${wanted%%:*}" >/dev/null && continue
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"; } >/dev/null && exit 0
fi
echo "not installed: ${missing[*]} (as root: apt-get install ${missing[*]}); what needs them is skipped" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
