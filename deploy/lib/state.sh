# shellcheck shell=bash
# Where an installation keeps what it needs, and whose it is. Needs common.sh.
#
#   credentials.json   base URL, accounts and clients with their secrets (0600, of the person who ran deploy/up)
#   tiendo.ini         the configuration (0640)     master.key  seals what the database must not hold openly (0640)
#   bin/  log/  run/   binary, logs, pid files      checkpoints/  signed checkpoints of the audit chain
#   db/  socket/       the PostgreSQL cluster and its socket

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# state_default: in the sources, unless root's sources stand where no other user gets through.
state_default() {
  if is_root && ! runuser -u nobody -- test -x "$SOURCE" 2>/dev/null; then
    echo /var/lib/tiendo
  else
    echo "$SOURCE/.tiendo"
  fi
}

# state_users DIR: who runs the cluster and who the service: never root; whoever made the cluster, where there is one.
state_users() {
  CLUSTER_USER=$(id -un) SERVICE_USER=$(id -un)
  if is_root; then CLUSTER_USER=postgres SERVICE_USER=tiendo; fi
  if [ -d "$1/db" ] && [ "$(stat -c %U "$1/db")" != "$CLUSTER_USER" ]; then
    is_root || die "$1 is $(stat -c %U "$1")'s; use sudo, or another directory with --state"
    CLUSTER_USER=$(stat -c %U "$1/db") SERVICE_USER=$CLUSTER_USER
  fi
}

# state_make DIR: the directories, with their owners.
state_make() {
  local dir=$1
  if is_root; then
    id "$SERVICE_USER" >/dev/null 2>&1 ||
      useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$SERVICE_USER"
    install -d -m 0755 "$dir" "$dir/log" "$dir/run"
  else
    install -d -m 0700 "$dir"
    install -d -m 0755 "$dir/log" "$dir/run"
  fi
  install -d -m 0750 "$dir/checkpoints"
  if is_root; then chown "$SERVICE_USER:" "$dir/checkpoints"; fi
  [ -e "$dir/log/service.log" ] || install -m 0640 /dev/null "$dir/log/service.log"
  if [ ! -e "$dir/log/postgresql.log" ]; then
    install -m 0640 /dev/null "$dir/log/postgresql.log"
    if is_root; then chown "$CLUSTER_USER:" "$dir/log/postgresql.log"; fi
  fi
}

# state_reach DIR: the users that work in it must get through to it.
state_reach() {
  local user
  is_root || return 0
  for user in "$CLUSTER_USER" "$SERVICE_USER"; do
    run_as "$user" test -x "$1" || die "user $user cannot reach $1; name another directory with --state"
  done
}
