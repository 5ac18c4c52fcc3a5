# Sourced by scripts/run and scripts/test: makes .venv what the lock says, once. It needs bash, coreutils, flock and a
# Python; everything it says goes to stderr, so that the output of a command stays clean.

checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$checkout/.venv

# Debian packages the Python wheels lean on at run time; one name a line, with its reason.
system_packages=(
    libpango-1.0-0      # WeasyPrint lays out text with it
    libpangoft2-1.0-0   # … and finds the fonts with it
    libharfbuzz-subset0 # … and puts only the letters used into a PDF: without it a document takes seven seconds
    fonts-noto-cjk      # Chinese letters, rare ones too, that may be embedded (OFL)
)

say() { printf 'huiyin: %s\n' "$*" >&2; }
fail() { say "$@"; exit 69; }

# What a finished set-up looks like. The interpreter's real path carries its version (…/python3.11), so a distribution
# upgrade is noticed without starting Python; the checkout's path is there because an environment cannot be moved.
stamp() {
    sha256sum <"$checkout/$1.txt"
    printf '%s\n' "$(readlink -f "$venv/bin/python")" "$checkout" "${system_packages[@]}"
}

ready() { [[ -x $venv/bin/python && -f $venv/$1.stamp && $(<"$venv/$1.stamp") == "$(stamp "$1")" ]]; }

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n -- "$@"; fi
}

may_install() { command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; }

apt_install() {
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@")
    say "installing $* with apt"
    as_root "${install[@]}" </dev/null >/dev/null 2>&1 && return
    # Fresh machines often come without package lists.
    as_root apt-get update -q </dev/null >/dev/null 2>&1
    as_root "${install[@]}" </dev/null >/dev/null
} >&2

system_libraries() {
    local package missing=()
    for package in "${system_packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    # Only printing needs them, and it says so by itself: whoever may not install anything can do all the rest.
    { may_install && apt_install "${missing[@]}"; } ||
        say "no PDFs can be made before this: sudo apt-get install ${missing[*]}"
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        "$name" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$name"; return; }
    done
    return 1
}

# Debian's python3 comes without ensurepip. Where apt may not install it, Debian's own pip wheel can still be fetched
# and checked by apt as an ordinary user, and put into the environment without touching the system.
borrow_pip() (
    shopt -s nullglob
    "$1" -I -m venv --without-pip "$venv" || exit
    wheels=(/usr/share/python-wheels/pip-*.whl)
    if ((!${#wheels[@]})); then
        cd "$venv" && apt-get download -q python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb borrowed || exit
        wheels=("$venv"/borrowed/usr/share/python-wheels/pip-*.whl)
    fi
    ((${#wheels[@]})) && "$venv/bin/python" "${wheels[0]}/pip" install -q --no-index --no-deps "${wheels[0]}"
) >/dev/null 2>&1

make_venv() {
    local python
    if ! python=$(find_python) && may_install; then apt_install python3 python3-venv; fi
    python=$(find_python) || fail "Python 3.11 or later is needed. Please run: sudo apt-get install python3 python3-venv"
    if ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null && may_install; then apt_install python3-venv; fi
    if "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -I -m venv "$venv" >&2 || fail "$python could not make $venv (see above)."
    else
        borrow_pip "$python" || { rm -rf -- "$venv"; fail "this Python cannot make virtual environments." \
            "Please run: sudo apt-get install python3-venv"; }
    fi
}

install_lock() {
    local log=$venv/setup.log
    # PIP_* of the machine (index, certificates, proxies) holds, but never an installation outside the environment.
    PIP_USER=0 "$venv/bin/python" -I -m pip install -q --disable-pip-version-check --no-input \
        --require-hashes --only-binary :all: -r "$checkout/$1.txt" >"$log" 2>&1 && return
    tail -n 25 "$log" >&2
    fail "installing $1.txt failed (see above; all of it in $log). Is the package index reachable?" \
        "The next start tries again."
}

# prepare LOCK: return when .venv holds what LOCK.txt says. Stamps go first and come back last, so an interrupted
# set-up is never taken for a finished one: an environment without any stamp is made again from nothing.
prepare() {
    ready "$1" && return
    [[ $checkout != *:* ]] || fail "the path of this checkout contains a colon, which Python's search path cannot hold."
    exec 9>"$checkout/.venv.lock" || fail "cannot write to $checkout."
    flock -n 9 || { say "another set-up is running; waiting for it"; flock 9; }
    if ! ready "$1"; then
        say "setting up from $1.txt (once; usually less than a minute)"
        system_libraries
        if [[ -f $venv/requirements.stamp && $(readlink -f "$venv/bin/python") == "$(sed -n 2p "$venv/requirements.stamp")" &&
            $checkout == "$(sed -n 3p "$venv/requirements.stamp")" ]]; then
            rm -f -- "$venv"/*.stamp
        else
            rm -rf -- "$venv"
            make_venv
        fi
        install_lock "$1"
        # The test lock holds everything the run lock holds (tests/test_house.py).
        stamp requirements >"$venv/requirements.stamp"
        [[ $1 == requirements ]] || stamp "$1" >"$venv/$1.stamp"
    fi
    exec 9>&-
}

# Ours come first and the caller's directory never counts: a folder named `domain` or `api` there must not be imported.
# Files and terminals are UTF-8 whatever the locale says: laws and cases are Chinese.
use_checkout() { export PYTHONPATH=$checkout PYTHONSAFEPATH=1 PYTHONUTF8=1; }
