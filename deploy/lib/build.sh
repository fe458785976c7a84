# shellcheck shell=bash
# Building the binary. Needs common.sh.

# owned COMMAND...: as the owner of the source tree, so that a build under sudo leaves no files of root's in it.
owned() {
  local owner
  owner=$(stat -c %U "$SOURCE")
  if is_root && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
    run_as "$owner" "$@"
  else
    "$@"
  fi
}

# build_configure DIR OPTION...: sets a build directory up once.
build_configure() {
  local dir=$1
  shift
  [ -f "$dir/build.ninja" ] || owned meson setup "$dir" "$SOURCE" "$@"
}

# build_release DIR: the release binary, made only when a source changed.
build_release() {
  local dir=$1
  if [ -f "$dir/build.ninja" ] && owned ninja -C "$dir" -n api/tiendo 2>/dev/null | grep -q 'no work to do'; then
    return 0
  fi
  step "Building the release binary" build_release_now "$dir"
}

build_release_now() {
  build_configure "$1" --buildtype=release -Db_lto=true
  owned ninja -C "$1" api/tiendo
}
