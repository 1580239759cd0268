#!/usr/bin/env bash
# Stands in for the linker of the program in the wheel: zig's, which has the interface of every glibc.
# So the program asks for no newer one than that of manylinux_2_28, whatever this machine has.
#
# The C++ runtime and the unwinder stay those of the machine, as libtorch has them: zig's own are
# others. WHEEL_PYTHON is a Python with the package ziglang, WHEEL_SHIM an object file with what those
# of manylinux_2_28 lack.
set -euo pipefail

glibc=2.28
arguments=()
for argument in "$@"; do
    case $argument in
        # It is asked for by every package with C++ in it.
        -lstdc++)
            arguments+=("$(c++ -print-file-name=libstdc++.so.6)")
            [[ " ${arguments[*]} " == *" $WHEEL_SHIM "* ]] || arguments+=("$WHEEL_SHIM")
            ;;
        -lgcc_s) arguments+=("$(c++ -print-file-name=libgcc_s.so.1)") ;;
        # The program calls into neither, and they are not to be loaded for it: libtorch.so asks for CUDA's
        # libraries, and torch has an OpenMP of its own. GCC's linker leaves them out by itself.
        -ltorch | -lgomp) ;;
        # Where libtorch is while this builds is nothing to the machine that it runs on.
        -Wl,-rpath,*) ;;
        # How GCC is told to use rust's own linker.
        -fuse-ld=* | -B*) ;;
        # A level that zig warns that it ignores.
        -Wl,-O1) ;;
        *) arguments+=("$argument") ;;
    esac
done
exec "$WHEEL_PYTHON" -m ziglang cc -target "$(uname -m)-linux-gnu.$glibc" "${arguments[@]}"
