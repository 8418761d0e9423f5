# What the scenarios fault_*.sh share: one fault after the other in one boot. Each is a cell of docs/faults.md, which
# tests/faults makes out of the lines that end_cell prints. Everything in such a line was observed.
#
# A cell:  begin_cell FAULT WHERE; bring the fault about; run the hook; look; end the fault; second_run; end_cell

gpu=0000:03:00.0 audio=0000:04:00.0 usb=0000:05:00.0 port=0000:00:1c.0 bus=0000:03
others_card=0000:06:00.1 others_bus=0000:06
busy_seconds=2
step_seconds=${step_seconds:-2} # the deadline of each step here

# The file that each of the five writes goes to.
file_of() {
    case $1 in
    unbind) echo /sys/bus/pci/drivers/bochs-drm/unbind ;;
    remove) echo /sys/bus/pci/devices/$gpu/remove ;;
    reset) echo /sys/bus/pci/devices/$port/reset_subordinate ;;
    rescan) echo /sys/class/pci_bus/$bus/rescan ;;
    bind) echo /sys/bus/pci/drivers/vfio-pci/bind ;;
    esac
}

# --- the host, as facts -------------------------------------------------------------------------------------------------

# Switches of the host, ports and functions; power settings apart, because a guest that was started keeps them.
fault_facts() {
    host_facts
    local each
    for each in $gpu $audio $usb $others_card; do
        if present $each; then
            case $(cat $devices/$each/driver_override) in
            "(null)") echo "$each: driver $(driver_of $each)" ;;
            *) echo "$each: driver $(driver_of $each), driver_override $(cat $devices/$each/driver_override)" ;;
            esac
        else
            echo "$each: gone"
        fi
    done
}
power_facts() {
    local each
    for each in $port 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0 $gpu $audio $usb; do
        ! present $each || echo "$each $(cat $devices/$each/power/control) $(cat $devices/$each/d3cold_allowed)"
    done
}
remember_host() { fault_facts >"$lab_run/fault.host"; power_facts >"$lab_run/fault.power"; }

append() { host_text="$host_text${host_text:+; }$1"; }
# What is not as it was at the beginning of the cell, in words.
host_differences() {
    fault_facts >"$lab_run/fault.now"
    host_text=$(diff "$lab_run/fault.host" "$lab_run/fault.now" | sed -n 's/^+\([^+]\)/\1/p' | tr '\n' ';' | sed 's/;$//; s/;/; /g')
    power_facts | while read -r line; do grep -qx "$line" "$lab_run/fault.power" || echo "$line"; done >"$lab_run/fault.power.now"
    [ ! -s "$lab_run/fault.power.now" ] || append "kept awake"
    [ -z "$(ls /run/pve-gpu-hook/journal 2>/dev/null)" ] || append "the rest is in the journal"
    echo "${host_text:-as before}"
}

# --- another program's PCI work ------------------------------------------------------------------------------------------

work_is_done() { [ -e "$lab_run/work.done" ]; }
# An unbind, a bind and a rescan of the card of somebody else, by another process.
other_pci_work() {
    rm -f "$lab_run/work.done"
    (
        set +e
        driver=$(driver_of $others_card)
        echo $others_card >$sys/bus/pci/drivers/$driver/unbind &&
            echo $others_card >$sys/bus/pci/drivers/$driver/bind &&
            echo 1 >$sys/class/pci_bus/$others_bus/rescan && : >"$lab_run/work.done"
    ) &
    if wait_until "${1:-10}" work_is_done; then cell_work="goes on"; else cell_work="waits"; fi
}
# Whether it has the driver again: snd_hda_intel probes in a work queue.
others_card_is_back() { has_driver $others_card snd_hda_intel; }

# --- a write that is stopped until the scenario lets it go on ------------------------------------------------------------

# stop_at PATH   whoever opens it for writing waits there, interruptibly, until go_on
stop_at() {
    rm -f "$lab_run/stop"
    mkfifo "$lab_run/stop"
    mount --bind "$lab_run/stop" "$1"
}
is_stopped() {
    local each
    for each in $(stuck_children); do
        ! grep -qs fifo_open "/proc/$each/stack" || return 0
    done
    return 1
}
wait_until_stopped() { wait_until 20 is_stopped || fail "$cell_fault: nobody came to the write"; }
# go_on PATH [TEXT]   with TEXT the real file gets it first, so the write returns when it had its effect
go_on() {
    [ -z "${2:-}" ] || echo "$2" >"/lab$1"
    umount -l "$1" 2>/dev/null || : # it may have gone with its directory
    cat "$lab_run/stop" >/dev/null
}
text_of() { case $1 in unbind | bind) echo $gpu ;; *) echo 1 ;; esac; }
# lab-start's child; the hook's own children are in sessions of their own.
hook_pid() {
    local each
    for each in $(pidof pve-gpu-hook); do
        ! grep -q "^PPid:.$(cat "$lab_run/$1.pid")\$" "/proc/$each/status" || echo "$each"
    done
}

# --- cells ---------------------------------------------------------------------------------------------------------------

fault_settings() {
    settings <<JSON
{ "timeouts": { "lock": 10, "busy": $busy_seconds, "unbind": $step_seconds, "remove": $step_seconds, "reset": $step_seconds,
  "rescan": $step_seconds, "reappear": $step_seconds, "bind": $step_seconds, "total": 20 }, "on_timeout": "fail" }
JSON
}

# The guest, the marked card, and how long a start takes here without any fault: this is an emulated machine.
fault_host() {
    pve_host
    fault_settings
    echo "hostpci0: $gpu" | conf 101
    dirty_card $usb
    # As on a host that lets idle ports sleep: what the hook keeps awake is seen.
    local each
    for each in $port 0000:01:00.0 0000:02:01.0; do
        echo auto >$devices/$each/power/control
        echo 1 >$devices/$each/d3cold_allowed
    done
    remember_host
    hook 101 pre-start
    expect_exit 0
    expect_clean $usb
    usual_ms=$(last_ms file)
    say "an undisturbed start takes $usual_ms ms"
    guest_stops
    expect_equal "the host after a stop" "as before" "$(host_differences)"
}

# The guest has stopped, and the administrator gives the GPU back to its native driver.
guest_stops() {
    hook 101 post-stop
    expect_exit 0
    to_native
}
to_native() {
    has_driver $gpu bochs-drm && return
    unbind $gpu
    echo >$devices/$gpu/driver_override
    # By name: an id that vfio-pci was taught would win a probe.
    echo $gpu >$sys/bus/pci/drivers/bochs-drm/bind
}
# From now on the native driver wins every rescan, so that the hook binds by itself.
native_first() {
    rmmod vfio_pci
    load_module vfio-pci
}

begin_cell() {
    cell_fault=$1 cell_where=$2 cell_while=
    say "--- $cell_fault"
    rm -f /run/pve-gpu-hook/101.json
    dirty $usb
    remember_host
}

# cell_exit, cell_ms, cell_did: of the run that has the fault. DEADLINES: how many of them it may take.
after_fault() {
    cell_exit=$(last_line | sed 's/lab-start: \([^,]*\),.*/\1/')
    cell_ms=$(last_ms file)
    cell_did=$(report_says outcome)
    cell_did=${cell_did:-no report}
    local step
    step=$(sed -n 's/.*"op": "\([a-z]*\)".*"result": "\(refused\|timed-out\)".*/\1 \2/p' "$lab_run/report.lines" | head -n 1)
    [ -z "$step" ] || cell_did="$cell_did: $step"
    ! present $usb || cell_did="$cell_did, $(cleanness)"
    expect_no_waiting
    cell_host=$(host_differences)
}
# The report, one step on a line.
report_says() {
    cat /run/pve-gpu-hook/101.json 2>/dev/null | tr -d '\n' | sed 's/{/\n{/g' >"$lab_run/report.lines" || :
    sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$lab_run/report.lines" | head -n 1
}

# expect_answer EXIT MILLISECONDS_OF_DEADLINES   within the deadlines that ran out and one second, beside the usual time
expect_answer() {
    expect_exit "$1"
    local most=$(($2 + 1000 + 8 * usual_ms)) # on a machine that others keep busy too; a card that is tried another way takes two starts' time
    [ "$cell_ms" -lt $most ] || fail "$cell_fault: answered after $cell_ms ms, expected within $most ms"
}
expect_host() { expect_equal "$cell_fault: host afterwards" "$1" "$cell_host"; }
expect_work() { expect_equal "$cell_fault: other PCI work" "$1" "$cell_work"; }

# While the fault is still there: answered, and who is stuck is named.
run_meanwhile() {
    hook 101 pre-start
    cell_while="meanwhile $(last_line | sed 's/lab-start: \([^,]*\),.*/\1/'), says $1; then "
    expect_exit 1
    expect_output "$1"
    expect_no_waiting
    [ "$(last_ms file)" -lt $((busy_seconds * 1000 + 1000 + 5 * usual_ms)) ] || fail "$cell_fault: the run meanwhile took $(last_ms file) ms"
}
second_run() {
    wait_until 10 others_card_is_back || fail "$others_card has lost its driver"
    hook 101 pre-start
    expect_exit 0
    expect_bound_to_vfio $gpu
    expect_bars_assigned $gpu
    expect_clean $usb
    expect_host_as_before
    expect_no_file /run/pve-gpu-hook/journal/101.json
    expect_equal "$cell_fault: stuck children" "" "$(stuck_children)"
    cell_second="$cell_while$(last_line | sed 's/lab-start: \([^,]*\),.*/\1/'), $(report_says outcome), $(cleanness)"
}
cleanness() { if [ "$(witness_of $usb)" = 0x00000000 ]; then echo "card clean"; else echo "card dirty"; fi; }
stuck_children() {
    local each
    for each in $(pidof pve-gpu-hook); do
        [ "$(cat "/proc/$each/comm" 2>/dev/null)" != pve-gpu-child ] || echo "$each"
    done
}
child_hangs() {
    local each
    for each in $(stuck_children); do
        [ "$(process_state "$each")" != D ] || return 0
    done
    return 1
}

# Rounded up, so that the same machine says the same tomorrow.
seconds() {
    local each
    for each in 1 2 3 5 8 12 20; do
        [ "$1" -gt $((each * 1000)) ] || { echo "$each s"; return; }
    done
    echo "more than 20 s"
}

end_cell() {
    guest_stops
    wait_until 10 others_card_is_back || :
    expect_equal "$cell_fault: the host after the stop" "as before" "$(host_differences)"
    print_cell
}
print_cell() {
    case "$cell_exit $cell_host" in
    "exit 0 $gpu: driver vfio-pci, driver_override vfio-pci" | "exit 0 $gpu: driver vfio-pci, driver_override vfio-pci; kept awake")
        cell_host="as a start leaves it" ;;
    esac
    echo "FAULT | $cell_fault | $cell_where | $cell_did | $cell_exit | $(seconds "$cell_ms") ($cell_ms ms) | $cell_host | $cell_work | $cell_second"
}
