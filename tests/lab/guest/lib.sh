# What scenarios are written in (busybox ash). Devices are named by address, 0000:03:00.0.
#
# An expectation that fails says what was expected and what was seen, with the scenario's line, and the scenario goes on:
# one run shows all that is wrong. Anything else that fails ends the scenario (set -e), and it has failed.

lab_run=/lab/run
hook_program=/usr/sbin/pve-gpu-hook
. /lab/modules.sh
. /lab/kernel_log.sh

# --- saying ---------------------------------------------------------------------------------------------------------

say() { echo "lab: $*"; }

fail() {
    : >"$lab_run/failed"
    echo "FAILED at ${lab_scenario_file:-scenario}:${lab_line:-?}: $*"
}

# --- facts of the machine -------------------------------------------------------------------------------------------

present() { [ -e "$devices/$1" ]; }
absent() { ! present "$1"; }
driver_of() { if [ -e "$devices/$1/driver" ]; then basename "$(readlink "$devices/$1/driver")"; else echo none; fi; }
has_driver() { [ "$(driver_of "$1")" = "$2" ]; }
group_of() { basename "$(readlink "$devices/$1/iommu_group")"; }
group_members() { ls "$devices/$1/iommu_group/devices" | tr '\n' ' ' | sed 's/ $//'; }
# The BARs only: the lines after the sixth are the ROM and, on a bridge, its windows.
assigned_bars() { head -n 6 "$devices/$1/resource" | awk '$3 != "0x0000000000000000" && $1 != "0x0000000000000000"' | cut -c1-37; }
opened() { [ "$(cat "$devices/$1/enable")" != 0 ]; }
process_state() { sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || :; }

# What must be as before around a run of the hook: switches of the whole host, and each bridge's control register (0x3e).
host_facts() {
    echo "drivers_autoprobe $(cat $sys/bus/pci/drivers_autoprobe)"
    for lab_bridge in "$devices"/*; do
        case $(cat "$lab_bridge/class") in
        0x0604*) echo "${lab_bridge##*/} driver $(basename "$(readlink "$lab_bridge/driver")") control $(xxd -s 62 -l 2 -p "$lab_bridge/config")" ;;
        esac
    done
    ls -d $sys/bus/pci_express/drivers/pciehp/0* 2>/dev/null || :
}
device_facts() {
    echo "driver $(driver_of "$1") enable $(cat "$devices/$1/enable") $(cat "$devices/$1/driver_override")"
    # sysfs never gives the same number again soon: another one is another device.
    echo "directory $(stat -L -c %i "$devices/$1")"
    head -n 6 "$devices/$1/resource"
}

# --- expectations ---------------------------------------------------------------------------------------------------

# expect_equal WHAT WANTED SEEN
expect_equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', seen '$3'"; }

expect_driver() { expect_equal "driver of $1" "$2" "$(driver_of "$1")"; }
expect_bound_to_vfio() { local each; for each in "$@"; do expect_equal "driver of $each" vfio-pci "$(driver_of "$each")"; done; }
expect_present() { local each; for each in "$@"; do present "$each" || fail "$each: expected to be there, it is not"; done; }
expect_absent() { local each; for each in "$@"; do absent "$each" || fail "$each: expected not to be there, it is"; done; }
expect_open() { opened "$1" || fail "$1: expected to be open (enable 1), it is not"; }
expect_not_open() { ! opened "$1" || fail "$1: expected not to be open (enable 0), it is"; }
expect_group_of() { expect_equal "IOMMU group of $1" "$2" "$(group_members "$1")"; }

# A BAR that the kernel could not place is a line of zeros, like one that does not exist: what there should be is known here.
bars_wanted() {
    case $(cat "$devices/$1/vendor" "$devices/$1/device" | tr '\n' ' ') in
    "0x1234 0x1111 ") echo 2 ;;
    *) echo 1 ;;
    esac
}
has_bars() { [ "$(assigned_bars "$1" | wc -l)" -ge "$(bars_wanted "$1")" ]; }
expect_bars_assigned() {
    present "$1" || { fail "$1: expected assigned BARs, it is not there"; return 0; }
    has_bars "$1" || fail "$1: expected $(bars_wanted "$1") BARs with addresses, seen: $(head -n 6 "$devices/$1/resource" | tr '\n' ';')"
}

# remember ADDRESS...   expect_untouched ADDRESS...   the same device as then: not even removed and found again
remember() {
    local each
    for each in "$@"; do device_facts "$each" >"$lab_run/facts.$each"; done
}
expect_untouched() {
    local each
    for each in "$@"; do
        present "$each" || { fail "$each: it is gone"; continue; }
        device_facts "$each" >"$lab_run/facts.now"
        cmp -s "$lab_run/facts.$each" "$lab_run/facts.now" ||
            fail "$each was touched: $(diff "$lab_run/facts.$each" "$lab_run/facts.now")"
    done
}
# The host's switches are as they were when the scenario began.
expect_host_as_before() {
    host_facts >"$lab_run/host.now"
    cmp -s "$lab_run/host" "$lab_run/host.now" || fail "the host is not as before: $(diff "$lab_run/host" "$lab_run/host.now")"
}

# The value that one line of a file holds, or part of it.
expect_file_says() { grep -qF -- "$2" "$1" || fail "$1: expected '$2', seen: $(head -c 2000 "$1" 2>&1)"; }
expect_file_lacks() { ! grep -qF -- "$2" "$1" || fail "$1: '$2' was not expected: $(grep -F -- "$2" "$1" | head -n 5)"; }
expect_file_exists() { [ -e "$1" ] || fail "$1: expected to exist, it does not"; }
expect_no_file() { [ ! -e "$1" ] || fail "$1: expected not to exist, it does"; }

# --- the witness: a register that only a bus reset clears (see programs/witness.cpp) -----------------------------------

# dirty USB_CONTROLLER...
dirty() {
    local each
    for each in "$@"; do
        lab-witness dirty "$devices/$each" >"$lab_run/witness"
        [ "$(cat "$lab_run/witness")" != 0x00000000 ] || { fail "$each: the witness does not keep a mark"; return 1; }
    done
}
# Marks the witness and shows that remove and rescan alone, without a reset, leave the mark: then only a reset clears it.
dirty_card() {
    local each
    for each in "$@"; do
        dirty "$each"
        remove "$each"
        rescan "${each%:*}"
        expect_still_dirty "$each"
    done
}
witness_of() { lab-witness read "$devices/$1" 2>&1 || :; }
expect_clean() { local each; for each in "$@"; do expect_equal "witness of $each (0 after a reset)" 0x00000000 "$(witness_of "$each")"; done; }
expect_still_dirty() { local each; for each in "$@"; do expect_equal "witness of $each (never reset)" 0x0000002a "$(witness_of "$each")"; done; }

# --- Proxmox's files ------------------------------------------------------------------------------------------------

# An empty host, with the links that pmxcfs makes.
pve_host() {
    hostname lab
    echo lab >/etc/hostname
    mkdir -p /etc/pve/nodes/lab/qemu-server /etc/pve/nodes/lab/lxc /etc/pve/mapping /run/qemu-server /var/lock /run/lock
    ln -sfn nodes/lab /etc/pve/local
    ln -sfn nodes/lab/qemu-server /etc/pve/qemu-server
    ln -sfn nodes/lab/lxc /etc/pve/lxc
    mkdir -p /etc/pve-gpu-hook
}
conf() { cat >"/etc/pve/qemu-server/$1.conf"; }
mapping() { cat >/etc/pve/mapping/pci.cfg; }
settings() { cat >/etc/pve-gpu-hook/settings.json; }
# reserve ADDRESS VMID pid:N|time:N   as Proxmox reserves a device for a VM
reserve() { echo "$1 $2 $3" >>/run/qemu-server/pci-id-reservations; }

# --- the hook -------------------------------------------------------------------------------------------------------

# hook VMID PHASE [NAME=VALUE...]   runs it as Proxmox does; what it printed and how it ended is the "last hook"
hook() { start_hook last "$@"; wait_hook last; }

# start_hook NAME VMID PHASE [NAME=VALUE...]   the same in the background; lab_start_options may hold lab-start's options.
# Its parent's standard input is a FIFO: end_parent NAME ends a parent that was started with --stay.
start_hook() {
    local name=$1 vmid=$2 phase=$3
    shift 3
    say "hook $vmid $phase $* (as $name)"
    rm -f "$lab_run/$name".*
    mkfifo "$lab_run/$name.stdin"
    : >"$lab_run/$name.stderr"
    # shellcheck disable=SC2086 # options are words
    lab-start ${lab_start_options:-} "$hook_program" "$vmid" "$phase" "$@" \
        <"$lab_run/$name.stdin" >"$lab_run/$name.stdout" 2>"$lab_run/$name.stderr" &
    echo $! >"$lab_run/$name.pid"
    # Held open for writing by a process of its own, so that the parent sees no end before it shall.
    sleep 100000 >"$lab_run/$name.stdin" &
    echo $! >"$lab_run/$name.keeper"
}

hook_ended() {
    local line
    while read -r line; do
        case $line in "lab-start: exit"* | "lab-start: signal"*) return 0 ;; esac
    done <"$lab_run/$1.stderr"
    return 1
}

# wait_hook NAME [SECONDS]   (longer than the hook itself may take, 180 s) waits until it has exited and its output has ended, and makes it the "last hook"
wait_hook() {
    if ! wait_until "${2:-200}" hook_ended "$1"; then
        fail "hook '$1' did not end; its output so far:"
        cat "$lab_run/$1.stdout" "$lab_run/$1.stderr"
        return 1
    fi
    last_hook=$1
    sed 's/^/    | /' "$lab_run/$1.stdout" "$lab_run/$1.stderr"
}

end_parent() { kill "$(cat "$lab_run/$1.keeper")"; wait "$(cat "$lab_run/$1.pid")" || :; }

last_line() { grep '^lab-start: \(exit\|signal\)' "$lab_run/$last_hook.stderr"; }
last_ms() { last_line | sed "s/.*$1 after \([0-9]*\) ms.*/\1/"; }
last_output() { cat "$lab_run/$last_hook.stdout"; grep -v '^lab-start: ' "$lab_run/$last_hook.stderr" || :; }

expect_exit() { expect_equal "the hook's end" "exit $1" "$(last_line | sed 's/lab-start: \([^,]*\),.*/\1/')"; }
expect_killed_by() { expect_equal "the hook's end" "signal $1" "$(last_line | sed 's/lab-start: \([^,]*\),.*/\1/')"; }
expect_output() { last_output | grep -qF -- "$1" || fail "the hook's output: expected '$1'"; }
expect_no_output() { ! last_output | grep -qF -- "$1" || fail "the hook's output: '$1' was not expected"; }
# Until Proxmox may go on: both pipes at end-of-file.
expect_within() { [ "$(last_ms file)" -lt "$1" ] || fail "end of the hook's output: expected within $1 ms, seen $(last_ms file)"; }
# No child holds the pipes after the exit. One second is much on a slow machine, and nothing beside a stuck child.
expect_no_waiting() {
    [ $(($(last_ms file) - $(last_ms exited))) -lt "${1:-1000}" ] ||
        fail "the hook's output ended $(last_ms file) ms after the start, its exit was at $(last_ms exited) ms"
}

# --- doing what a person or another program does ---------------------------------------------------------------------

unbind() { local each; for each in "$@"; do [ ! -e "$devices/$each/driver" ] || echo "$each" >"$devices/$each/driver/unbind"; done; }
remove() { local each; for each in "$@"; do echo 1 >"$devices/$each/remove"; done; }
# overwrite ADDRESS OFFSET BYTE   in its configuration space; the byte as two hexadecimal digits
overwrite() { printf "\\x$3" | dd of="$devices/$1/config" bs=1 seek=$(($2)) conv=notrunc 2>/dev/null; }
# rescan BUS...   as in 0000:03
rescan() { local each; for each in "$@"; do echo 1 >"$sys/class/pci_bus/$each/rescan"; done; }
to_vfio() {
    local each
    for each in "$@"; do
        unbind "$each"
        echo vfio-pci >"$devices/$each/driver_override"
        echo "$each" >"$sys/bus/pci/drivers/vfio-pci/bind"
    done
}
# Proxmox's next step after the hook (SysFSTools.pm): vendor and device to new_id, unbind, bind; no-op when it is bound.
proxmox_binds() {
    local each
    for each in "$@"; do
        has_driver "$each" vfio-pci && continue
        echo "$(cut -c3- "$devices/$each/vendor") $(cut -c3- "$devices/$each/device")" \
            >"$sys/bus/pci/drivers/vfio-pci/new_id" 2>/dev/null || :
        has_driver "$each" vfio-pci && continue
        unbind "$each"
        has_driver "$each" vfio-pci || echo "$each" >"$sys/bus/pci/drivers/vfio-pci/bind"
    done
}

holding() { grep -qs '^holding' "$lab_run/hold.$1"; }

# hold NAME lab-hold's words...   a process that has something open until `release NAME`
hold() {
    local name=$1
    shift
    rm -f "$lab_run/hold.$name" "$lab_run/hold.$name.stdin"
    mkfifo "$lab_run/hold.$name.stdin"
    lab-hold "$@" <"$lab_run/hold.$name.stdin" >"$lab_run/hold.$name" 2>&1 &
    echo $! >"$lab_run/hold.$name.pid"
    sleep 100000 >"$lab_run/hold.$name.stdin" &
    echo $! >"$lab_run/hold.$name.keeper"
    wait_until 20 holding "$name" || { fail "nothing is held: $(cat "$lab_run/hold.$name")"; return 1; }
}
hold_vfio() { hold "$1" group "$(group_of "$1")" "$1"; }
holder_pid() { cat "$lab_run/hold.$1.pid"; }
release() {
    kill "$(cat "$lab_run/hold.$1.keeper")"
    wait "$(holder_pid "$1")" || :
}

# --- writes that do not do what they should --------------------------------------------------------------------------
# PATH is a file below /sys; the real one stays reachable below /lab/sys.

# The writer hangs in D, survives SIGKILL, and goes on when the file system is thawed (the write then has no effect).
hang_writes() {
    if [ ! -e /lab/frozen/mounted ]; then
        load_module loop
        load_module ext4
        mkdir -p /lab/frozen
        dd if=/dev/zero of=/lab/frozen.image bs=1M count=4 2>/dev/null
        mke2fs -F /lab/frozen.image >/dev/null 2>&1
        # ext4 can be frozen, and reads what mke2fs of busybox makes.
        mount -t ext4 -o loop /lab/frozen.image /lab/frozen
        : >/lab/frozen/mounted
    fi
    local each
    for each in "$@"; do
        local file=/lab/frozen/$(echo "$each" | tr / _)
        cat "$each" >"$file" 2>/dev/null || :
        mount --bind "$file" "$each"
    done
    fsfreeze --freeze /lab/frozen
}
thaw_writes() { fsfreeze --unfreeze /lab/frozen; }
# To the kernel's own file again, for the next run of the hook. A file that went away with its device took the mount along;
# a child that is only just thawed still has the other one open.
is_mounted() { awk '{ print $2 }' /proc/mounts | grep -qxF "$(readlink -f "$1")"; }
real_writes() {
    local each
    for each in "$@"; do
        ! is_mounted "$each" || wait_until 20 umount "$each" 2>/dev/null || { fail "cannot unmount $each"; return 1; }
    done
}

# A write succeeds and has no effect.
lying_writes() {
    local each
    for each in "$@"; do
        local file=$lab_run/lying$(echo "$each" | tr / _)
        cat "$each" >"$file" 2>/dev/null || : >"$file"
        mount --bind "$file" "$each"
    done
}

# slow_writes SECONDS PATH TEXT   the open for writing waits, interruptibly, that time; then the real file gets TEXT, and only
# when that had its effect does the writer go on: a reset that ran beside the removal of what it resets is a kernel's own crash.
slow_writes() {
    local fifo=$lab_run/slow$(echo "$2" | tr / _)
    mkfifo "$fifo"
    mount --bind "$fifo" "$2"
    (
        wait_until 60 somebody_waits_for_a_reader
        sleep "$1"
        echo "$3" >"/lab$2"
        cat "$fifo" >/dev/null
    ) &
}
somebody_waits_for_a_reader() { grep -qs fifo_open /proc/[0-9]*/stack; }

# --- QEMU's monitor: the host side of the machine ----------------------------------------------------------------------
# The second serial port is QEMU's own QMP monitor (see tests/lab/boot.bash).

# What came is whole when it ends with a line's end: the line is slow, and a long answer is seen in parts.
qmp_is_whole() { [ "$(tail -c 1 "$lab_run/qmp" | xxd -p)" = 0a ]; }
qmp_answered() { qmp_is_whole && grep -q '"return"\|"error"' "$lab_run/qmp"; }

# qmp COMMAND ID [NAME=VALUE...]   qmp device_del gpu0;  qmp device_add gpu0 driver=bochs-display bus=gpu_port0
qmp() {
    local command=$1 id=$2 arguments
    shift 2
    arguments="\"id\": \"$id\""
    local each
    for each in "$@"; do
        case ${each#*=} in
        *[!0-9]*) arguments="$arguments, \"${each%%=*}\": \"${each#*=}\"" ;;
        *) arguments="$arguments, \"${each%%=*}\": ${each#*=}" ;; # newer QEMUs take no text for a number
        esac
    done
    qmp_says "{\"execute\": \"$command\", \"arguments\": {$arguments}}"
}
qmp_returned() { qmp_is_whole && grep -q '"return"' "$lab_run/qmp"; }
# Until it is raw the line echoes QEMU's greeting back to QEMU, which answers with errors: byte 255 makes its parser forget
# what it has, and only the first good answer counts.
qmp_connect() {
    : >"$lab_run/qmp"
    # Open from now on: what comes while nobody has the line open is lost.
    exec 7<>/dev/ttyS1
    stty raw -echo <&7
    cat <&7 >>"$lab_run/qmp" &
    printf '\377' >/dev/ttyS1
    echo '{"execute": "qmp_capabilities"}' >/dev/ttyS1
    wait_until 20 qmp_returned || { fail "QEMU's monitor does not answer: $(cat "$lab_run/qmp")"; return 1; }
}
qmp_says() {
    [ -e "$lab_run/qmp" ] || qmp_connect
    : >"$lab_run/qmp"
    echo "$1" >/dev/ttyS1
    wait_until 20 qmp_answered || { fail "QEMU did not answer to $1"; return 1; }
    ! grep '"error"' "$lab_run/qmp" || { fail "QEMU refused $1"; return 1; }
}

# unplug ID   until QEMU has it no more. The event DEVICE_DELETED does not come for a bochs-display that has shown something
# (QEMU's console keeps a reference), so the object tree is asked. pciehp needs 5 s: it is a pressed attention button.
qemu_lacks() {
    : >"$lab_run/qmp"
    echo "{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/machine/peripheral/$1\"}}" >/dev/ttyS1
    wait_until 20 qmp_answered && grep -q '"error"' "$lab_run/qmp"
}
# The memory of a device goes a moment after the device, and the next one of its kind in its place finds QEMU aborting until
# then.
video_memories() {
    qmp_says '{"execute": "x-query-ramblock"}' && grep -o 'vga\.vram' "$lab_run/qmp" | wc -l
}
video_memory_went() { [ "$(video_memories)" -lt "$lab_video_memories" ]; }
unplug() {
    qmp_says "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/peripheral/$1\", \"property\": \"type\"}}"
    local is_gpu=false
    grep -q '"secondary-vga"' "$lab_run/qmp" && is_gpu=true
    lab_video_memories=$(video_memories)
    qmp device_del "$1"
    lab-eject >/dev/null || :
    wait_until 60 qemu_lacks "$1" || { fail "QEMU still has $1"; return 1; }
    ! $is_gpu || wait_until 20 video_memory_went || { fail "QEMU keeps the memory of $1"; return 1; }
}
# plug ID driver=NAME bus=PORT   A bochs-display that has shown something cannot be plugged in a second time (QEMU aborts: its
# video memory is still registered); `secondary-vga` is the same GPU to the guest: 1234:1111, class 0x0380, same BARs.
plug() { qmp device_add "$@"; }

# --- lines of expectations ------------------------------------------------------------------------------------------

# The line of the scenario that calls an expectation: a function alone cannot know it in ash, an alias can. Last in a file, because an alias
# would spoil the definition of the function; a file that defines more of them begins with `unalias -a`.
lab_words="fail expect_driver expect_present expect_absent expect_bars_assigned expect_exit expect_killed_by
    expect_no_waiting expect_within expect_file_says expect_file_lacks expect_file_exists expect_no_file expect_output
    expect_no_output expect_clean expect_still_dirty expect_equal expect_bound_to_vfio expect_open expect_not_open
    expect_group_of hook start_hook wait_hook hold hold_vfio dirty dirty_card expect_untouched expect_host_as_before qmp plug unplug"
tell_lines() {
    for lab_word in $lab_words; do
        # shellcheck disable=SC2139 # LINENO is escaped
        alias "$lab_word=lab_line=\$LINENO $lab_word"
    done
}
tell_lines
