# Sourced by what builds; `top` is the checkout. One configuration has one directory, whoever builds it: nothing is built twice.

build=${BUILD_DIR:-$top/build}
build_packages=(g++ cmake make nlohmann-json3-dev libboost-filesystem-dev libboost-program-options-dev catch2 ccache git)
mkdir -p "$build"

# What is compiled again as it was comes from the cache.
export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR CCACHE_MAXSIZE=1G CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=yes
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
CCACHE_DIR=$(lab_cache)/ccache/host

# build_of PRESET|lab [TARGET...]   configures, with the words of the array `configure` where there is one, and builds below `build`; "lab"
# is the lab's own programs alone. What it says is in PRESET.log, and its last lines are shown if it fails.
build_of() {
    local name=$1 log=$build/$1.log
    shift
    {
        if [[ $name == lab ]]; then
            cmake -S "$top/tests/lab" -B "$build/lab" -DCMAKE_BUILD_TYPE=Release
        else
            (cd "$top" && cmake --preset "$name" -B "$build/$name" ${configure[@]+"${configure[@]}"})
        fi && cmake --build "$build/$name" -j "$(jobs_of 700)" ${1:+--target "$@"} # a compiler takes up to 700 MB
    } 2>&1 | tee "$log" | show_progress "building $name" || { tail -n 60 "$log" >&2; return 1; }
}

# show_progress WHAT   a line for each tenth; on a terminal one line that grows. Make says "[ 45%]".
show_progress() {
    local terminal=''
    [[ ! -t 1 ]] || terminal=yes
    awk -v what="$1" -v terminal="$terminal" '
        /(Building|Linking)/ && match($0, /^\[ *[0-9]+%\]/) {
            percent = substr($0, 2, RLENGTH - 3) + 0
            if (percent >= shown + 10) { shown = percent - percent % 10; printf(terminal ? "\r%s: %d %%" : "%s: %d %%\n", what, shown); fflush() }
        }
        END { if (terminal && shown) print "" }'
}
