#!/usr/bin/env bash
# make bench: builds what is compared, then runs it in rounds. BENCH=quick: few short rounds, to see that it works. BEFORE=DIR:
# where maru of another build is, to compare with.
# Wants two cores that nothing else uses.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
case ${BENCH:-full} in
  quick) rounds=1 seconds=2 rows=20000 history=1500000 command="make bench BENCH=quick" ;;
  full) rounds=5 seconds=5 rows=100000 history=20000000 command="make bench" ;;
  *) echo "BENCH is quick or full, not ${BENCH}" >&2; exit 2 ;;
esac
target=${CARGO_TARGET_DIR:-target}
"$cargo" build --release --locked -p server --bin maru -p loadgen --bin maru-load -p benches --bins
mkdir -p "$target/bench"
"$target/release/rounds" --bin "$target/release" --work "$target/bench" --page docs/performance.md \
  --rounds "$rounds" --seconds "$seconds" --history "$history" --command "$command" \
  ${BEFORE:+--before "$BEFORE"}
"$target/release/families" "$target/bench" --rows "$rows" --page docs/performance.md
"$target/release/moves" "$target/bench" --page docs/performance.md
"$target/release/floods" --bin "$target/release" --work "$target/bench" --page docs/performance.md
