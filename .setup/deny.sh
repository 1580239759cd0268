#!/usr/bin/env bash
# Runs cargo-deny on what the lock file names: licences, sources, and known advisories where their list can
# be fetched. Builds cargo-deny once, beside the build outputs, where it is not installed.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/.setup/shell.sh"

version=0.20
tools=${LORASWEEP_CI_CACHE:-$HOME/.cache/lorasweep-ci}/tools

if ! command -v cargo-deny >/dev/null; then
    export PATH=$tools/bin:$PATH
    if ! command -v cargo-deny >/dev/null; then
        say "building cargo-deny (once, some minutes)"
        CARGO_TARGET_DIR=$tools/target cargo install --quiet --locked --root "$tools" "cargo-deny@^$version" ||
            fail "cargo-deny cannot be built" "see above; \`cargo install cargo-deny\` may say more"
        rm -rf "$tools/target"
    fi
fi

cd "$project"
cargo deny --offline --log-level error --config .deny.toml check bans licenses sources
if cargo deny --config .deny.toml fetch db >/dev/null 2>&1; then
    cargo deny --log-level error --config .deny.toml check advisories
else
    say "advisories not checked: their list at github.com/rustsec/advisory-db cannot be fetched"
fi
