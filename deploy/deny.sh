#!/usr/bin/env bash
# cargo-deny by deploy/deny.toml. Without it, or without its database of advisories (a network), this says so and is no failure: licences
# and sources are in `make test` whatever is installed. An advisory that is found is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { echo "deny: $*"; }
CONFIG=deploy/deny.toml
if ! cargo deny --version >/dev/null 2>&1; then
  say "cargo-deny is not installed, so advisories are not looked at (cargo install --locked --version 0.20.2 cargo-deny, some minutes)"
  exit 0
fi
# Crates of both targets have to be here.
cargo fetch --locked --quiet || true
cargo deny --config $CONFIG --locked --offline check --hide-inclusion-graph bans licenses sources
if timeout 120 cargo deny --config $CONFIG --locked fetch db >/dev/null 2>&1; then
  # What was just fetched, without asking again.
  cargo deny --config $CONFIG --locked --offline check advisories
else
  say "the database of advisories is not reachable, so advisories are not looked at"
fi
