# Sourced by the set-up scripts: messages, and a pip that works on a fresh Debian or Ubuntu.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# fail MESSAGE [HINT]
fail() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 5
}

# need_disk_mib FOLDER MIB: the folder's file system has that much room.
need_disk_mib() {
    local free
    free=$(($(df -Pk "$1" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free" -ge "$2" ] || fail "$free MiB are free in $1, $2 MiB are needed" \
        "make room, or clone the project to a larger disk"
}

# make_pip FOLDER: prints the command of a private pip. It leaves the system's Python alone, which
# distributions ask for (PEP 668).
make_pip() {
    command -v python3 >/dev/null || fail "python3 is missing" "sudo apt-get install python3 python3-venv"
    if ! [ -x "$1/bin/pip" ]; then
        rm -rf "$1"
        python3 -m venv "$1" >"$1.log" 2>&1 || {
            rm -rf "$1"
            fail "python3 cannot make virtual environments: $(tail -n 1 "$1.log")" "sudo apt-get install python3-venv"
        }
    fi
    printf '%s\n' "$1/bin/pip"
}
