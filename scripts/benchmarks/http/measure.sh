#!/bin/sh
# measure.sh WRK-ARGUMENTS PATH -- SERVER...: runs a server that prints its port on one processor and wrk on the
# other; prints "count= wall= cpu=" for the requests answered, and the seconds that they took.
set -eu
load="" path=""
while [ "$1" != -- ]; do load="$load $path"; path=$1; shift; done
shift
out=$(mktemp)
taskset -c 0 "$@" >"$out" & server=$!
trap 'kill $server 2>/dev/null || :; rm -f "$out"' EXIT
url=""
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  port=$(head -n 1 "$out")
  if [ -n "$port" ] && curl -so /dev/null "http://127.0.0.1:$port/"; then   # nginx tells its port before it listens
    url=http://127.0.0.1:$port$path
    break
  fi
  sleep 0.1
done
[ -n "$url" ] || { echo "the server does not start"; exit 1; }
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
taskset -c 1 wrk -t1 -c64 -d1s "$url" >/dev/null     # so that everything is warm
before=$(ticks)
# shellcheck disable=SC2086
report=$(taskset -c 1 wrk -t1 $load "$url")
after=$(ticks)
if echo "$report" | grep -q 'Non-2xx\|Socket errors'; then echo "$report" | tail -n 3; exit 1; fi
echo "$report" | awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" '
  / requests in / {
    wall = $4; unit = 1
    if (wall ~ /ms/) unit = 0.001
    if (wall ~ /m,/) unit = 60
    printf "count=%d wall=%.3f cpu=%.3f\n", $1, wall * unit, ticks / hertz
  }'
