# Sourced by scripts that do the same in several Debian trees: much of it keeps one processor busy, and some of it none.

# at_once COMMAND WORD...   runs COMMAND with each word at the same time and prints, in order and in one piece, what each said.
# Fails when one of them did.
at_once() {
    local command=$1 word said status=0
    local -A pids
    shift
    said=$(mktemp -d)
    for word in "$@"; do
        "$command" "$word" >"$said/$word" 2>&1 &
        pids[$word]=$!
    done
    for word in "$@"; do
        wait "${pids[$word]}" || status=1
        cat "$said/$word"
    done
    rm -rf "$said"
    return "$status"
}
