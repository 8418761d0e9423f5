# Sourced by the lab's scripts: installs what is missing, and only then asks apt.

# need PACKAGE...
need() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    (
        # Two scripts of the lab may find the same thing missing at the same time.
        exec 9>/tmp/pve-gpu-hook-apt.lock
        flock 9
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
    ) >&2
}

lab_cache() { echo "${PVE_GPU_HOOK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pve-gpu-hook}"; }
