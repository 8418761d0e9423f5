# Sourced by what types a document's commands: in a tree (tests/tree/readme), and on its own kernel (tests/tree/booted).
# Who sources it says what its lines begin with ($suite), and a directory ($work).

screen=$work/screen

# type_command COMMAND   as somebody at a terminal, who answers each question with yes; its exit status. What it says is in $screen.
# While it runs nothing is started here: the kernel that it runs on may be an emulated one.
type_command() {
    local keyboard=${screen%/*}/keyboard pid asked=0 text questions status=0
    began=$SECONDS
    : >"$screen"
    [[ -e $keyboard ]] || mkfifo "$keyboard" "$keyboard.never"
    exec 8<>"$keyboard"
    PAGER=cat script -qefc "$1" /dev/null <&8 >"$screen" 2>&1 9<&- &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        IFS= read -r -d '' text <"$screen" || :
        questions=${text//\[[yY]\/[nN]\]/}
        while ((asked < (${#text} - ${#questions}) / 5)); do
            echo y >&8
            asked=$((asked + 1))
        done
        # Nothing is ever written there.
        IFS= read -r -t 0.3 text <>"$keyboard.never" || :
    done
    wait "$pid" || status=$?
    exec 8>&-
    return "$status"
}

# What is on the screen, in one line and without colours.
said() { tr -d '\0' <"$screen" | sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' | tr -s '\r\n ' ' '; }
write_down() { # COMMAND STATUS
    {
        printf '\n# %s    (exit %s after %s s)\n' "$1" "$2" $((SECONDS - began))
        tr -d '\0\r' <"$screen"
    } >>"$log"
}
show_screen() { tr -d '\0\r' <"$screen" | tail -n 60 | sed 's/^/      | /'; }

# run_commands FILE LOG   what tests/readme has planned for a place: STATUS TAB WORDS TAB BEFORE TAB COMMAND
run_commands() {
    local log=$2 wanted words before command status failed=0
    cd /root
    while IFS=$'\t' read -r wanted words before command <&9; do
        if [[ $before != - ]]; then
            status=0
            type_command "$before" || status=$?
            write_down "$before" $status
            echo "    $suite: before that: $before (exit $status)"
            ((status == 0 || status == 3)) || { show_screen; failed=1; }
        fi
        status=0
        type_command "$command" || status=$?
        write_down "$command" $status
        if [[ $status != "$wanted" ]]; then
            echo "FAILED  $suite: $command (exit $status, expected $wanted)"
        elif [[ $words != - && $(said) != *"$words"* ]]; then
            echo "FAILED  $suite: $command (does not say '$words')"
        else
            echo "ok  $suite: $command (exit $status$( ((wanted == 0)) || echo ', as expected'))"
            continue
        fi
        show_screen
        failed=1
    done 9<"$1"
    return "$failed"
}
