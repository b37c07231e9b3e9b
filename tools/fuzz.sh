#!/usr/bin/env bash
# Runs the fuzzers under libFuzzer: `tools/fuzz.sh SECONDS [NAME..]`, all of them or those named (tile, http_server), SECONDS each, as
# many at once as there are processors. Inputs that reach something new are kept in build/found/NAME, so that the next run goes on from
# there; what fails is named at the end, with the input that it failed on.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [NAME..]}
shift
command -v clang++-19 >/dev/null || { echo "apt-get install clang-19 libclang-rt-19-dev" >&2; exit 2; }
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

run() {
  program=$1 seconds=$2
  name=$(basename "$program" _fuzz) corpus=${program#build/fuzz/}
  corpus=$(dirname "$corpus")/fuzz_corpus found=build/found/$name
  mkdir -p "$found"
  if "$program" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 -artifact_prefix="$found/failed-" "$found" "$corpus" >"$found.log" 2>&1; then
    echo "$name: clean, $(grep -o 'Done [0-9]* runs in [0-9]* second' "$found.log" | tail -1)s"
  else
    echo "$name: FAILED: $(grep -E '^fuzz: |ERROR: |SUMMARY: ' "$found.log" | head -1); $(grep -o 'Test unit written to .*' "$found.log"); see $found.log"
    return 1
  fi
}
export -f run

programs=()
for program in build/fuzz/src/*/*_fuzz; do
  name=$(basename "$program" _fuzz)
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] && programs+=("$program")
done
[ ${#programs[@]} -gt 0 ] || { echo "no fuzzer of these names: $*" >&2; exit 2; }
printf '%s\n' "${programs[@]}" | xargs -P "$(nproc)" -I{} bash -c "run {} $seconds"
