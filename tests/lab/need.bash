# Sourced by the tests' scripts: installs what is missing, and only then asks apt; and the cache of all of them.

# Downloads, Debian trees, kernels, snapshots, compiled objects and clang-tidy's answers, each under a sum of what went into it or made by
# a program that knows its own; it may be deleted at any time. Nothing of it gets into the package.
lab_cache() { echo "${PVE_GPU_HOOK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pve-gpu-hook}"; }

# need PACKAGE...   What apt says is in the cache's apt.log.
need() {
    local package missing=() log
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || { echo "${0##*/}: run it as root, or first: apt install ${missing[*]}" >&2; return 1; }
    echo "installing ${#missing[@]} packages of Debian ..." >&2
    log=$(lab_cache)/apt.log
    mkdir -p "${log%/*}"
    (
        # Two scripts may find the same thing missing at the same time.
        exec 9>"${log%/*}/apt.lock"
        flock 9
        apt-get update -qq || : # one source that does not answer need not be the one that is asked
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
    ) >"$log" 2>&1 || {
        tail -n 3 "$log" >&2
        echo "${0##*/}: these packages cannot be installed: ${missing[*]}. Is there a network? The whole log: $log" >&2
        return 1
    }
}

# as_root   what is tested needs it
as_root() { ((EUID == 0)) || { echo "${0##*/}: run it as root: ${1:-it installs packages and makes virtual machines and Debian trees}" >&2; exit 1; }; }

# bound_files DIRECTORY MEBIBYTES   removes the files that were used least lately until the rest is no larger; what a killed run has left, too.
bound_files() {
    local left=$(($2 * 1024 * 1024)) size file
    find "$1" -maxdepth 1 -name '*.new*' -mmin +60 -delete 2>/dev/null || :
    while read -r _ size file; do
        left=$((left - size))
        ((left >= 0)) || rm -f "$file"
    done < <(find "$1" -maxdepth 1 -type f -size +0 -printf '%T@ %s %p\n' 2>/dev/null | sort -rn)
}

# jobs_of MEBIBYTES [EXTRA]   prints how many such jobs this machine takes at once: as many as processors (and EXTRA), as far as memory goes
jobs_of() {
    awk -v each="$1" -v most="$(($(nproc) + ${2:-0}))" \
        '/^MemAvailable/ { fit = int($2 / 1024 / each) } END { print fit < 1 ? 1 : fit < most ? fit : most }' /proc/meminfo
}

# turn NUMBER [SHIFT]   prints one of 0 ... NUMBER-1 by this checkout's commit: what rotates, differs from commit to commit and is the same for one
turn() {
    local commit
    commit=$(git -c safe.directory='*' rev-parse HEAD 2>/dev/null || echo 0)
    echo $(((16#${commit:0:7} + ${2:-0}) % $1))
}
