# shellcheck shell=bash
# A private PostgreSQL 15 cluster: Unix socket only, never run as root. Needs common.sh.
#
# The operating system vouches for who connects (peer): the cluster's own user may be the superuser "postgres" and the
# migrating role, the service's user may be the serving role and nothing else. So there is no password to keep.

unset "${!PG@}"  # what libpq would take from the caller's environment
PG_BIN=/usr/lib/postgresql/15/bin

# cluster_socket_dir DIR: where the socket stands: in DIR, unless its path would exceed what the kernel takes.
cluster_socket_dir() {
  local short
  if [ ${#1} -le 80 ]; then
    printf '%s/socket\n' "$1"
    return
  fi
  short=tiendo-$(printf %s "$1" | sha256sum | cut -c1-12)
  if is_root; then printf '/run/%s\n' "$short"; else printf '%s/%s\n' "${XDG_RUNTIME_DIR:-/tmp}" "$short"; fi
}

# cluster_init DIR CLUSTER_USER SERVICE_USER: makes DIR/db once; a half-made one of an interrupted run is thrown away.
cluster_init() {
  local dir=$1 owner=$2 service=$3
  if [ ! -d "$dir/db" ]; then
    rm -rf "$dir/db.new"
    install -d -m 0700 "$dir/db.new"
    if is_root; then chown "$owner:" "$dir/db.new"; fi
    (cd / && run_as "$owner" "$PG_BIN/initdb" -D "$dir/db.new" -U postgres -E UTF8 --locale=C.UTF-8 \
      --auth=peer --data-checksums --no-instructions)
    mv "$dir/db.new" "$dir/db"
  fi
  cluster_settings "$dir" "$owner" "$service"
}

cluster_settings() {
  local dir=$1 owner=$2 service=$3 socket memory
  socket=$(cluster_socket_dir "$dir")
  install -d -m 0755 "$socket"
  if is_root; then chown "$owner:" "$socket"; fi
  [ "$(stat -c %U "$socket")" = "$owner" ] || die "$socket is not ours"
  memory=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  put_file 0600 "$owner:" "$dir/db/tiendo.conf" <<EOF
listen_addresses = ''
unix_socket_directories = '$socket'
port = 5432
max_connections = 100
shared_buffers = $(cluster_share "$memory" 4 1024)MB
effective_cache_size = $(cluster_share "$memory" 2 8192)MB
work_mem = 8MB
maintenance_work_mem = $(cluster_share "$memory" 16 256)MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u '
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_min_error_statement = panic
fsync = on
full_page_writes = on
synchronous_commit = on
EOF
  grep -q '^include = .tiendo.conf.' "$dir/db/postgresql.conf" ||
    echo "include = 'tiendo.conf'" >>"$dir/db/postgresql.conf"
  put_file 0600 "$owner:" "$dir/db/pg_hba.conf" <<EOF
local all all peer map=tiendo
EOF
  put_file 0600 "$owner:" "$dir/db/pg_ident.conf" <<EOF
tiendo $owner postgres
tiendo $owner tiendo_migrator
tiendo $service tiendo_service
EOF
}

# cluster_share MEMORY PART MOST: a part of the memory in MB, at least 32 and at most MOST.
cluster_share() {
  local mb=$(($1 / $2))
  if [ "$mb" -gt "$3" ]; then mb=$3; fi
  if [ "$mb" -lt 32 ]; then mb=32; fi
  echo "$mb"
}

cluster_running() { (cd / && run_as "$2" "$PG_BIN/pg_ctl" status -s -D "$1/db") >/dev/null 2>&1; }

cluster_ready() { "$PG_BIN/pg_isready" -q -h "$(cluster_socket_dir "$1")"; }

# cluster_start DIR CLUSTER_USER: until it is ready; waits for one that is on its way in or out.
cluster_start() {
  local i
  for ((i = 0; i < 300; i++)); do
    cluster_ready "$1" && return 0
    cluster_running "$1" "$2" || break
    sleep 0.2
  done
  (cd / && run_as "$2" "$PG_BIN/pg_ctl" start -s -w -t 120 -D "$1/db" -l "$1/log/postgresql.log" 9>&-)
}

# cluster_stop DIR CLUSTER_USER
cluster_stop() {
  cluster_running "$1" "$2" || return 0
  (cd / && run_as "$2" "$PG_BIN/pg_ctl" stop -s -w -t 60 -m fast -D "$1/db")
}

# cluster_psql DIR CLUSTER_USER ARGUMENT...: psql as the superuser, stopping at the first error.
cluster_psql() {
  local dir=$1 owner=$2 socket
  shift 2
  socket=$(cluster_socket_dir "$dir")
  (cd / && run_as "$owner" psql -X -q -v ON_ERROR_STOP=1 -h "$socket" -U postgres "$@")
}

# cluster_database DIR CLUSTER_USER ROLES_SQL: the roles, and the database they work in.
cluster_database() {
  local dir=$1 owner=$2
  if [ "$(cluster_psql "$dir" "$owner" -d postgres -Atc "SELECT count(*) FROM pg_database WHERE datname = 'tiendo'")" = 0 ]; then
    cluster_psql "$dir" "$owner" -d postgres -c "CREATE DATABASE tiendo ENCODING 'UTF8' TEMPLATE template0"
  fi
  cluster_psql "$dir" "$owner" -d tiendo <"$3" >/dev/null
}
