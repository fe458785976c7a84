# shellcheck shell=bash
# Messages, and steps that show that they move. Sourced, never run.

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# step TEXT COMMAND...: runs COMMAND with its output kept in a file and shows that it moves; prints the output's end when it
# fails. The command runs in a subshell with errexit, so a failing line inside it is not overlooked; but bash ignores errexit
# where step itself is a condition (step … || …), and only the command's last line counts then.
step() {
  local text=$1 log pid began=$SECONDS rc=0 tty=0
  shift
  [ -t 1 ] && tty=1
  log=$(mktemp "${TMPDIR:-/tmp}/tiendo-step.XXXXXX")
  (set -e; "$@") >"$log" 2>&1 </dev/null &
  pid=$!
  printf '%-52s' "$text"
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if [ $tty = 1 ]; then
      printf '\r%-52s%4d s' "$text" $((SECONDS - began))
    elif [ $(((SECONDS - began) / 5)) -gt "${dots:=0}" ]; then
      printf '.'; dots=$((dots + 1))
    fi
  done
  dots=0
  wait "$pid" || rc=$?
  [ $tty = 1 ] && printf '\r%-52s' "$text"
  if [ $rc -ne 0 ]; then
    printf ' failed\n'
    tail -n "${STEP_TAIL:-40}" "$log" >&2
    rm -f "$log"
    return $rc
  fi
  printf ' done (%d s)\n' $((SECONDS - began))
  rm -f "$log"
}

# pid_start PID: the kernel's start time of a process, which tells it from a later one with the same number.
pid_start() {
  local -a stat
  local line
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra stat <<<"${line##*) }"
  printf '%s\n' "${stat[19]}"
}

# pid_alive FILE: prints the process id that a file of "pid start-time" names, if that very process is running.
pid_alive() {
  local pid start
  [ -r "$1" ] || return 1
  read -r pid start <"$1" || return 1
  [ -n "$start" ] && [ "$(pid_start "$pid")" = "$start" ] || return 1
  printf '%s\n' "$pid"
}

# pid_stop FILE SECONDS: ends the process of a pid file, kindly at first.
pid_stop() {
  local pid i
  pid=$(pid_alive "$1") || { rm -f "$1"; return 0; }
  kill -TERM "$pid"
  for ((i = 0; i < $2 * 10; i++)); do
    pid_alive "$1" >/dev/null || { rm -f "$1"; return 0; }
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$1"
}

# random_secret [BYTES]: a fresh secret in URL-safe characters.
random_secret() { head -c "${1:-24}" /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d '='; }

# run_as USER COMMAND...: as that user, in the same environment; as oneself when one is that user already.
run_as() {
  local user=$1
  shift
  if [ "$(id -un)" = "$user" ]; then
    "$@"
  else
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@"
  fi
}

# put_file MODE OWNER FILE: standard input into a file that never stands half-written; keeps an identical file untouched.
put_file() {
  local mode=$1 owner=$2 file=$3 new
  new=$(mktemp "$file.XXXXXX")
  cat >"$new"
  if [ -f "$file" ] && cmp -s "$new" "$file"; then
    rm -f "$new"
    return 0
  fi
  chmod "$mode" "$new"
  if is_root; then chown "$owner" "$new"; fi
  mv "$new" "$file"
}
