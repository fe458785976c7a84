# shellcheck shell=bash
# Debian packages from lists (one name a line, # comments). Needs common.sh.

# packages_missing LIST...: the names that are not installed, one a line.
packages_missing() {
  local names
  names=$(sed -e 's/#.*//' "$@" | tr -s ' \t' '\n' | sort -u | grep -v '^$') || return 0
  # shellcheck disable=SC2086  # one word a package
  dpkg-query -W -f='${Package} ${db:Status-Status}\n' $names 2>/dev/null |
    awk '$2 == "installed" {print $1}' | sort -u | comm -13 - <(printf '%s\n' "$names")
}

# packages_install LIST...: installs what is missing, as root or through sudo; nothing at all when nothing is.
packages_install() {
  local missing sudo=
  missing=$(packages_missing "$@" | tr '\n' ' ')
  [ -n "${missing// /}" ] || return 0
  if ! is_root; then
    have sudo || die "these packages are missing, and installing them needs root: $missing"
    sudo=sudo
    sudo -v
  fi
  # shellcheck disable=SC2086
  step "Installing $(wc -w <<<"$missing" | tr -d ' ') Debian packages" packages_apt "$sudo" $missing
}

packages_apt() {
  local sudo=$1
  shift
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    --no-install-recommends install "$@"
}

# packages_require LIST...: refuses to go on without them.
packages_require() {
  local missing
  missing=$(packages_missing "$@" | tr '\n' ' ')
  [ -z "${missing// /}" ] || die "missing Debian packages: $missing"
}
