#!/usr/bin/env bash
# Puts libtorch 2.11.0 where the build looks for it: .libtorch/{include,lib} of the project, or the
# folder given as the only argument. Does nothing where that is done already.
#
#   LIBTORCH exported               that one is used
#   active virtualenv or conda      its torch is linked to, where it is 2.11
#   otherwise                       the wheel from PyPI, with its CUDA libraries where there is an
#                                   NVIDIA GPU, and with the two that its CPU library loads elsewhere
#
# lib/ has links to the CPU libraries alone: a program linked against them starts with and without
# CUDA, and loads libtorch_cuda.so from beside their real place where there is one.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$project/.setup/shell.sh"

version=2.11.0
target=${1:-$project/.libtorch}
partial=$target.partial

# usable FOLDER: headers and libraries of the right version are there, dangling links are not.
usable() {
    local header=$1/include/torch/headeronly/version.h library
    for library in libtorch.so libtorch_cpu.so libc10.so; do [ -e "$1/lib/$library" ] || return 1; done
    grep -qs 'define TORCH_VERSION_MAJOR 2$' "$header" && grep -qs 'define TORCH_VERSION_MINOR 11$' "$header"
}

# link_to TORCH: links to the headers and CPU libraries of an installed torch package.
link_to() {
    rm -rf "$partial/include" "$partial/lib"
    mkdir -p "$partial/lib"
    ln -s "$1/include" "$partial/include"
    local up=
    case $1 in /*) ;; *) up=../ ;; esac
    for library in libtorch.so libtorch_cpu.so libc10.so; do
        ln -s "$up$1/lib/$library" "$partial/lib/$library"
    done
    usable "$partial" || fail "$1 has no headers or libraries of torch $version"
}

# finish KIND: the finished folder appears under its name in one step.
finish() {
    printf '%s %s\n' "$version" "$1" >"$partial/stamp"
    rm -rf "$target"
    mv "$partial" "$target"
    say "libtorch $version ($1) is in $target"
    exit 0
}

# active_torch: prints the folder of the active Python environment's torch 2.11, if there is one.
active_torch() {
    local environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
    [ -n "$environment" ] && [ -x "$environment/bin/python" ] || return 1
    "$environment/bin/python" - <<'PYTHON'
import importlib.metadata, importlib.util, os, sys
spec = importlib.util.find_spec("torch")
if spec is None or not importlib.metadata.version("torch").startswith("2.11."):
    sys.exit(1)
print(os.path.dirname(os.path.realpath(spec.origin)))
PYTHON
}

# download KIND: the wheels, kept in the partial folder so that a second try goes on with them.
download() {
    local pip wheels=$partial/wheels
    pip=$(make_pip "$partial/venv")
    "$partial/venv/bin/python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' ||
        fail "torch $version has wheels for Python 3.10 to 3.14, this is $(python3 --version)" \
            "install libtorch $version by hand and export LIBTORCH=/path/to/libtorch"
    mkdir -p "$wheels" "$partial/tmp"
    local fetch=("$pip" download --quiet --no-cache-dir --only-binary=:all: --dest "$wheels" --find-links "$wheels")
    export TMPDIR=$partial/tmp
    if [ "$1" = cuda ]; then
        say "fetching torch $version with its CUDA libraries from PyPI (an estimated 2.5 GB)"
        "${fetch[@]}" "torch==$version"
    else
        say "fetching torch $version from PyPI (about 550 MB)"
        "${fetch[@]}" --no-deps "torch==$version" &&
            "${fetch[@]}" --no-deps 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*'
    fi || fail "the download failed" "run the same command again: finished parts are kept"
    say "unpacking"
    rm -rf "$partial/site"
    for wheel in "$wheels"/torch-*.whl "$wheels"/nvidia_*.whl; do
        python3 -m zipfile -e "$wheel" "$partial/site"
    done
    rm -rf "$wheels" "$partial/venv" "$partial/venv.log" "$partial/tmp"
}

command -v c++ >/dev/null || command -v g++ >/dev/null ||
    fail "a C++ compiler is missing" "sudo apt-get install build-essential"

if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$target" ]; then
    usable "$LIBTORCH" || fail "LIBTORCH=$LIBTORCH is not a libtorch $version" \
        "run \`unset LIBTORCH\` to let set-up fetch one"
    say "using LIBTORCH=$LIBTORCH"
    exit 0
fi

kind=cpu
# A long list must be read to its end: nvidia-smi fails where nobody reads it, and the pipe with it.
gpus=$(nvidia-smi -L 2>/dev/null || true)
case $gpus in *GPU*) kind=cuda ;; esac
# Some containers have a GPU and no nvidia-smi.
for file in /dev/nvidia[0-9]*; do [ ! -e "$file" ] || kind=cuda; done
have=$(cat "$target/stamp" 2>/dev/null || true)
case "$have/$kind" in
    "$version cpu/cuda") say "there is a GPU now: setting up again with CUDA" ;;
    "$version "*) if usable "$target"; then say "libtorch $have is in $target"; exit 0; fi ;;
esac

mkdir -p "$partial"
if torch=$(active_torch); then
    link_to "$torch"
    finish environment
fi
[ "$(uname -s)" = Linux ] || fail "set-up fetches libtorch for Linux only" \
    "install libtorch $version by hand and export LIBTORCH=/path/to/libtorch"
if [ "$kind" = cuda ]; then need_disk_mib "$partial" 9000; else need_disk_mib "$partial" 3000; fi
download "$kind"
link_to site/torch
finish "$kind"
