#!/usr/bin/env bash
# Measures locks; see scripts/bench --help. Run it as: scripts/bench locks
set -euo pipefail

bad_usage() {
  echo "scripts/bench locks: $*; scripts/bench --help shows what there is" >&2
  exit 2
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rounds=5 seconds=5 held_seconds=30 connections=50
while (($#)); do
  case $1 in
  --rounds | --seconds | --held-seconds)
    if ! [[ ${2-} =~ ^[1-9][0-9]*$ ]]; then bad_usage "$1 needs a positive number"; fi
    case $1 in
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    *) held_seconds=$2 ;;
    esac
    shift 2
    ;;
  --)
    shift
    break
    ;;
  *) bad_usage "unknown argument \"$1\"" ;;
  esac
done

offset=22500
etcd_port=28300 # clients at +1 to +3, peers at +11 to +13
work=$(mktemp -d)
export LOCKSTEP_CLUSTER_DIR=$work/cluster
etcd_pids=()

clean_up() {
  scripts/cluster down >/dev/null 2>&1 || true
  if ((${#etcd_pids[@]})); then
    kill "${etcd_pids[@]}" 2>/dev/null || true
    wait "${etcd_pids[@]}" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

echo "building" >&2
go build -o "$work/locks" ./internal/bench/locks
go -C internal/bench/etcd build -o "$work/etcd" .

scripts/cluster up --fresh --base-port-offset "$offset" "$@" >/dev/null
resp=127.0.0.1:$((7001 + offset)),127.0.0.1:$((7002 + offset)),127.0.0.1:$((7003 + offset))
http=127.0.0.1:$((8001 + offset)),127.0.0.1:$((8002 + offset)),127.0.0.1:$((8003 + offset))
pids=$(<"$work/cluster/n1/pid"),$(<"$work/cluster/n2/pid"),$(<"$work/cluster/n3/pid")

members='' etcd=''
for n in 1 2 3; do
  members+=${members:+,}e$n=http://127.0.0.1:$((etcd_port + 10 + n))
  etcd+=${etcd:+,}127.0.0.1:$((etcd_port + n))
done
for n in 1 2 3; do
  "$work/etcd" member "e$n" "$work/e$n" "http://127.0.0.1:$((etcd_port + n))" \
    "http://127.0.0.1:$((etcd_port + 10 + n))" "$members" >"$work/e$n.log" 2>&1 &
  etcd_pids+=($!)
done
for ((i = 0; ; i++)); do
  if "$work/etcd" rate "$etcd" 3 100ms >/dev/null 2>"$work/etcd.err"; then break; fi
  if ((i == 5)); then
    cat "$work/etcd.err" "$work"/e?.log >&2
    exit 1
  fi
  sleep 1
done

for ((round = 1; round <= rounds; round++)); do
  echo "round $round of $rounds" >&2
  "$work/locks" rate -endpoints "$resp" -connections "$connections" -duration "${seconds}s" >>"$work/rate.lockstep"
  "$work/etcd" rate "$etcd" "$connections" "${seconds}s" >>"$work/rate.etcd"
done
# The rest is about Lockstep alone.
kill "${etcd_pids[@]}"
wait "${etcd_pids[@]}" 2>/dev/null || true
etcd_pids=()

# median FILE FIELD
median() {
  awk -v field="$2" '{ print $field }' "$1" | sort -n |
    awk '{ v[NR] = $1 } END { if (NR == 0) exit 1; print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

echo "acquire + release, $connections connections over three nodes, a lock each (medians of $rounds rounds):"
printf '  %-10s %10s %10s %10s\n' '' 'per s' 'p50 (ms)' 'p99 (ms)'
for who in lockstep etcd; do
  awk -v who="$who" -v rate="$(median "$work/rate.$who" 2)" -v p50="$(median "$work/rate.$who" 4)" -v p99="$(median "$work/rate.$who" 6)" \
    'BEGIN { printf "  %-10s %10.0f %10.2f %10.2f\n", who, rate, p50 / 1000, p99 / 1000 }'
done
awk -v a="$(median "$work/rate.lockstep" 2)" -v b="$(median "$work/rate.etcd" 2)" 'BEGIN { printf "  ratio %.2f\n", a / b }'

"$work/locks" handover -endpoints "$resp" | awk '{
  printf "hand-over with 100 waiters, release sent to next grant: median %.2f ms, p99 %.2f ms, longest %.2f ms (%d samples, %d out of order)\n",
    $3 / 1000, $5 / 1000, $7 / 1000, $9, $11 }'

echo "10,000 locks held, renewed every 10 s:"
"$work/locks" held -endpoints "$resp" -metrics "$http" -pids "$pids" -duration "${held_seconds}s" |
  awk '{ printf "  %s  %.1f %% of a core, %.0f KB of log a second\n", $2, $4, $6 / 1000 }'
