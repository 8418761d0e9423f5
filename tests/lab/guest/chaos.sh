# Rounds of everything that may happen around a start, drawn by a number: the same number gives the same rounds. Sourced by scenarios/chaos.sh.
#
# Before the start the card gets dirty and may lose functions and drivers, an earlier start may be killed at some moment, our files in /run
# may be garbage, somebody may have the GPU open. While it runs others rescan, bind, start a guest with another card, or take the GPU's driver
# away. What holds then is in judge_start; after it nothing happens, and the guest starts once more (quiet_start).
. /lab/faults.sh
others_witness=0000:06:00.2

# pick N   one of 0 ... N-1 is in `picked`; not in a subshell, which would draw the same again
pick() {
    chaos_state=$(((chaos_state * 1103515245 + 12345) % 2147483648))
    picked=$((chaos_state / 4096 % $1))
}
one_in() {
    pick "$1"
    [ "$picked" = 0 ]
}
note() { chaos_did="$chaos_did; $*"; }
failed() { [ -e "$lab_run/failed" ]; }

# The process that start_hook keeps for a parent that stays is not needed by one that does not.
end_keeper() { kill "$(cat "$lab_run/$1.keeper")" 2>/dev/null || :; }
finish_hook() {
    wait_hook "$1" 120
    end_keeper "$1"
}

# What a killed start has removed and the next has not found yet may be there without memory (6.12 below pciehp's ports).
dirty_if_it_can() { [ ! -e $devices/$1/resource0 ] || dirty $1; }

# --- before the start -----------------------------------------------------------------------------------------------------

lose_functions() {
    local lost=
    pick 8
    case $picked in
    0) lost=$gpu ;;
    1) lost=$audio ;;
    2) lost="$gpu $audio" ;;
    3) lost=0000:01:00.0 ;;
    4) lost=0000:02:05.0 ;;
    *) return 0 ;;
    esac
    note "lost $lost"
    # shellcheck disable=SC2086 # a list
    remove $lost
}
lose_drivers() {
    pick 5
    case $picked in
    0) note "GPU unbound"; ! present $gpu || unbind $gpu ;;
    1) note "GPU native"; ! present $gpu || to_native ;;
    2) note "audio unbound"; ! present $audio || unbind $audio ;;
    esac
}
killed_start() {
    one_in 4 || return 0
    local after signal=KILL pid
    pick 900
    after=$picked
    if one_in 2; then signal=TERM; fi
    note "an earlier start gets SIG$signal after $after ms"
    start_hook killed 101 pre-start
    usleep ${after}000
    pid=$(hook_pid killed)
    [ -z "$pid" ] || kill -$signal $pid 2>/dev/null || :
    finish_hook killed
}
garbage() {
    one_in 4 || return 0
    local file number=0
    for file in $(find /run/pve-gpu-hook -type f ! -name '*lock*') /run/pve-gpu-hook/journal/101.json /run/pve-gpu-hook/journal/999.json; do
        if one_in 2; then continue; fi
        # What a killed start has noted to be undone, nobody else knows.
        case $file in */journal/101.json) [ ! -s $file ] || continue ;; esac
        mkdir -p "${file%/*}"
        number=$((number + 1))
        pick 6
        case $picked in
        0) : >"$file" ;;
        1) echo '{' >"$file" ;;
        2) echo '[1, {"vmid": "x"}]' >"$file" ;;
        3) echo '{"vmid": 101, "undo": [{"kind": "pci", "path": "/sys/../lab/run/failed", "text": "x"}, 7], "functions": 3}' >"$file" ;;
        4) head -c 40 "$file" >"$lab_run/garbage" 2>/dev/null && cp "$lab_run/garbage" "$file" || : ;;
        5) head -c 300 /bin/busybox >"$file" ;;
        esac
    done
    note "garbage in $number files of /run"
}
somebody_holds() {
    chaos_held=
    one_in 8 || return 0
    present $gpu && has_driver $gpu vfio-pci || return 0
    note "somebody has the GPU open"
    chaos_held=yes
    hold_vfio $gpu
    remember $gpu
}

# --- while it runs ---------------------------------------------------------------------------------------------------------

others_rescan() {
    chaos_rescans=
    one_in 3 || return 0
    local target after times
    pick 4
    case $picked in
    0) target=$sys/bus/pci/rescan ;;
    1) target=$devices/$port/rescan ;;
    2) target=$sys/class/pci_bus/0000:01/rescan ;;
    3) target=$devices/0000:00:1d.0/rescan ;;
    esac
    pick 700
    after=$picked
    pick 3
    times=$((picked + 1))
    note "$times rescans by $target from $after ms on"
    chaos_rescans=yes
    (
        usleep ${after}000
        while [ $times -gt 0 ]; do
            { echo 1 >$target; } 2>/dev/null || : # the bus may be gone at that moment
            usleep 50000
            times=$((times - 1))
        done
    ) &
    chaos_jobs="$chaos_jobs $!"
}
others_bind() {
    one_in 4 || return 0
    pick 500
    note "another card's audio is bound anew from $picked ms on"
    (
        usleep ${picked}000
        driver=$(driver_of $others_card)
        [ "$driver" = none ] || echo $others_card >$sys/bus/pci/drivers/$driver/unbind
        echo $others_card >$sys/bus/pci/drivers_probe
    ) &
    chaos_jobs="$chaos_jobs $!"
}
others_start() {
    chaos_other=
    one_in 4 || return 0
    note "another guest starts"
    chaos_other=yes
    start_hook other 102 pre-start
}
others_take_the_gpu() {
    chaos_taken=
    [ -z "$chaos_held" ] || return 0
    one_in 8 || return 0
    pick 700
    note "somebody unbinds the GPU after $picked ms"
    chaos_taken=yes
    (
        usleep ${picked}000
        unbind $gpu 2>/dev/null || :
    ) &
    chaos_jobs="$chaos_jobs $!"
}

# --- what holds ------------------------------------------------------------------------------------------------------------

no_false_verdict() {
    local each
    for each in "power cycle" "power-cycle" "switch the host off" "switch it off" "; reboot the host"; do expect_no_output "$each"; done
}
# The card is good, and emulated ones do what they are told: whatever others do, a start finds it.
judge_start() {
    no_false_verdict
    expect_within 60000
    if [ -n "$chaos_held" ]; then
        expect_exit 1
        expect_output "is in use by"
        expect_untouched $gpu
    elif [ -z "$chaos_taken" ]; then
        expect_exit 0
        expect_bound_to_vfio $gpu $audio
        expect_bars_assigned $gpu
    fi
    # What was lost beside the guest's functions need not be found.
    present $usb || rescan 0000:02
    [ -n "$chaos_held$chaos_taken" ] || expect_clean $usb
    [ -n "$chaos_other" ] || expect_still_dirty $others_witness
    judge_host
}
judge_host() {
    expect_file_says $sys/bus/pci/drivers_autoprobe 1
    local bridge each
    for each in $chaos_pciehp; do
        bridge=${each%:pcie*}
        ! present $bridge || [ -e $sys/bus/pci_express/drivers/pciehp/$each ] || fail "pciehp does not have $bridge any more"
    done
    for bridge in $port 0000:00:1d.0 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0; do
        present $bridge || continue # one that was lost need not be found
        expect_driver $bridge pcieport
        # One that somebody else's rescan has found in the middle of our reset, and nothing of the guest's is below it: the next start's.
        [ $bridge != 0000:02:05.0 ] || [ -z "$chaos_rescans" ] || continue
        [ $((0x$(xxd -s 62 -l 1 -p $devices/$bridge/config) & 0x40)) = 0 ] || fail "$bridge is held in reset"
    done
    # What two find at once may lose what its control register says of errors: only where nobody rescanned.
    [ -n "$chaos_rescans" ] || [ -n "$chaos_lost_bridges" ] || expect_host_as_before
    chaos_lost_bridges=$chaos_lost_bridges$chaos_rescans
}
quiet_start() {
    if [ -n "$chaos_rescans" ]; then
        hook 101 pre-start
        end_keeper last
        expect_exit 0
        chaos_rescans=
    fi
    present $usb || rescan 0000:02
    dirty_if_it_can $usb
    hook 101 pre-start
    end_keeper last
    no_false_verdict
    expect_exit 0
    expect_within 30000
    expect_bound_to_vfio $gpu $audio
    expect_bars_assigned $gpu
    expect_clean $usb
    expect_no_file /run/pve-gpu-hook/journal/101.json
    expect_equal "stuck children" "" "$(stuck_children)"
    judge_host
}

# --- rounds ----------------------------------------------------------------------------------------------------------------

chaos_round() {
    chaos_did= chaos_jobs=
    present $usb || rescan 0000:02
    dirty $usb
    dirty $others_witness
    lose_functions
    lose_drivers
    killed_start
    dirty_if_it_can $usb
    garbage
    somebody_holds
    start_hook main 101 pre-start
    others_rescan
    others_bind
    others_start
    others_take_the_gpu
    finish_hook main
    # shellcheck disable=SC2086 # a list
    [ -z "$chaos_jobs" ] || wait $chaos_jobs || :
    [ -z "$chaos_other" ] || { finish_hook other && expect_exit 0 && expect_clean $others_witness; }
    last_hook=main
    judge_start
    [ -z "$chaos_held" ] || release $gpu
    if [ -n "$chaos_held$chaos_taken$chaos_rescans" ] || one_in 2; then quiet_start; fi
    if one_in 3; then
        note "a stop"
        hook 101 post-stop
        end_keeper last
        expect_exit 0
    fi
}

# chaos SEED ROUNDS|unlimited SECONDS   ends at the first round after which something does not hold
chaos() {
    local seed=$1 rounds=$2 began round=0 end
    began=$(uptime_ms)
    end=$((began + $3 * 1000))
    chaos_state=$seed chaos_lost_bridges=
    chaos_pciehp=$(ls $sys/bus/pci_express/drivers/pciehp | grep ^0 || :)
    while [ "$round" != "$rounds" ] && [ "$(uptime_ms)" -lt $end ]; do
        round=$((round + 1))
        chaos_round
        say "round $round of seed $seed: ${chaos_did#; }"
        if failed; then break; fi
    done
    [ "$rounds" = unlimited ] || [ "$round" = "$rounds" ] || failed || fail "only $round of $rounds rounds in $3 s"
    say "$round rounds of seed $seed in $((($(uptime_ms) - began) / 1000)) s"
}
