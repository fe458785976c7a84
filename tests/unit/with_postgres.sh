#!/bin/bash
# Runs a command beside a private PostgreSQL cluster that lives as long as the command:
#   with_postgres.sh COMMAND [ARGUMENT...]
# The command finds it through PGHOST, PGUSER and PGDATABASE, as the superuser. It may stop and start it:
#   "$TEST_POSTGRES" --ctl stop|start
# As root, the cluster runs as the user postgres.
set -eu

bin=${PG_BIN:-/usr/lib/postgresql/15/bin}

as_owner() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

ctl() {
  as_owner "$bin/pg_ctl" -D "$TEST_POSTGRES_DIR/data" -l "$TEST_POSTGRES_DIR/log" -s -w -t 60 "$@"
}

if [ "${1:-}" = --ctl ]; then
  case $2 in
  start) ctl start >/dev/null </dev/null ;;
  stop) ctl stop -m fast ;;
  *) exit 2 ;;
  esac
  exit
fi

TEST_POSTGRES=$(realpath "$0")
TEST_POSTGRES_DIR=$(as_owner mktemp -d /tmp/tiendo-unit.XXXXXX)
export TEST_POSTGRES TEST_POSTGRES_DIR

finish() {
  ctl stop -m immediate >/dev/null 2>&1 || true
  case $TEST_POSTGRES_DIR in
  /tmp/tiendo-unit.*) rm -rf "$TEST_POSTGRES_DIR" ;;
  esac
}
trap finish EXIT
trap 'exit 130' INT TERM

as_owner "$bin/initdb" -D "$TEST_POSTGRES_DIR/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=trust -N \
  --no-instructions >"$TEST_POSTGRES_DIR.initdb" 2>&1 || {
  cat "$TEST_POSTGRES_DIR.initdb" >&2
  exit 1
}
rm -f "$TEST_POSTGRES_DIR.initdb"
# The directory is its owner's alone, and so is the socket in it.
as_owner tee -a "$TEST_POSTGRES_DIR/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$TEST_POSTGRES_DIR'
max_connections = 100
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
jit = off
timezone = 'UTC'
CONF
ctl start >/dev/null </dev/null || {
  cat "$TEST_POSTGRES_DIR/log" >&2
  exit 1
}

export PGHOST=$TEST_POSTGRES_DIR PGUSER=postgres PGDATABASE=postgres
unset PGPORT PGPASSWORD PGSERVICE PGOPTIONS PGSSLMODE
set +e
"$@"
