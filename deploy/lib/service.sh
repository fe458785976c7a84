# shellcheck shell=bash
# The service's process: installed binary, configuration, start and stop. Needs common.sh.

# service_install BUILT DIR: copies the binary beside the state, so that the service's user can reach it wherever the
# sources are, and a rebuild leaves the running one alone.
service_install() {
  install -d -m 0755 "$2/bin"
  install -m 0755 "$1" "$2/bin/tiendo.new"
  mv "$2/bin/tiendo.new" "$2/bin/tiendo"
}

# documents_current SOURCE DIR, documents_install SOURCE DIR: what lays reports out as papers, where the installed binary looks for it.
documents_current() {
  local file
  for file in "$1"/api/document/*.{py,html,css,conf}; do
    cmp -s "$file" "$2/lib/tiendo/document/${file##*/}" || return 1
  done
}
documents_install() {
  install -d -m 0755 "$2/lib" "$2/lib/tiendo" "$2/lib/tiendo/document"
  install -m 0644 "$1"/api/document/*.{py,html,css,conf} "$2/lib/tiendo/document/"
}

service_pid() { pid_alive "$1/run/service.pid"; }

# service_start DIR SERVICE_USER: in the background, in a session of its own, its output in the log.
service_start() {
  local dir=$1 user=$2 as=()
  if [ "$(id -un)" != "$user" ]; then
    as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --no-new-privs --reset-env --)
  fi
  # shellcheck disable=SC2016  # expanded by the inner shell
  (cd / && exec setsid "$BASH" -c '. "$1"; echo "$$ $(pid_start $$)" >"$2"; shift 2; exec "$@"' start \
    "$LIB/common.sh" "$dir/run/service.pid" "${as[@]}" "$dir/bin/tiendo" serve --config "$dir/tiendo.ini" \
    >>"$dir/log/service.log" 2>&1 </dev/null 9>&-) &
}

service_stop() { pid_stop "$1/run/service.pid" 45; }

# service_wait DIR BASE_URL: until /readyz says yes; fails as soon as the process is gone.
service_wait() {
  local i
  for ((i = 0; i < 300; i++)); do
    curl -fsS -o /dev/null --max-time 2 "$2/readyz" 2>/dev/null && return 0
    if [ $i -gt 20 ] && ! service_pid "$1" >/dev/null; then break; fi
    sleep 0.1
  done
  echo "the service is not ready; the end of $1/log/service.log:"
  tail -n 20 "$1/log/service.log"
  return 1
}
