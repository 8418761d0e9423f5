# Virtual machines, for scenarios with `# qemu: yes`: Debian's QEMU, started as Proxmox starts it. Sourced by those.
#
# What stands between the hook and QEMU is played step by step. Each function has the name of its place in Proxmox's source
# (qemu-server 9.2, pve-common 9.2) and does what that does for PCI devices, and no more. A guest whose configuration has no
# `hookscript:` line is started without the hook: the control of each scenario.
#
# What runs in the VM is programs/firmware.cpp, which says on the serial port what it sees and can be told what to do.
unalias -a

hook_line="hookscript: local:snippets/pve-gpu-hook"
vm_directory=$lab_run/vm
vm_witness_at= # a scenario sets it to the card's USB controller: what that is like when QEMU is started is in vm_handed_over
mkdir -p "$vm_directory"

# --- PVE::SysFSTools ----------------------------------------------------------------------------------------------------

# lspci FILTER   the functions that a host= names: 01:00 is all of a slot
lspci() {
    local each
    for each in "$devices"/0000:"${1#0000:}"*; do [ ! -e "$each" ] || echo "${each##*/}"; done
}

pci_dev_bind_to_vfio() {
    local name=$1 vfio=$sys/bus/pci/drivers/vfio-pci error
    [ ! -e "$vfio/$name" ] || return 0
    # One that is there already is fine (EEXIST).
    error=$({ echo "$(cut -c3- "$devices/$name/vendor") $(cut -c3- "$devices/$name/device")" >"$vfio/new_id"; } 2>&1) ||
        case $error in *"File exists"*) ;; *) return 1 ;; esac
    if [ -e "$devices/$name/driver" ]; then { echo "$name" >"$devices/$name/driver/unbind"; } 2>/dev/null || :; fi
    [ -e "$vfio/$name" ] || echo "$name" >"$vfio/bind" || return 1
    [ -e "$vfio/$name" ]
}

# Every member of the group but bridges.
pci_dev_group_bind_to_vfio() {
    local each
    for each in $(group_members "$1"); do
        [ -e "$devices/$each/pci_bus" ] || pci_dev_bind_to_vfio "$each" || { echo "Cannot bind $each to vfio"; return 1; }
    done
}

pci_dev_reset() { (echo 1 >"$devices/$1/reset") 2>&1; }

# --- PVE::QemuServer::PCI -----------------------------------------------------------------------------------------------

reservations=/run/qemu-server/pci-id-reservations

# parse_hostpci_devices VMID   a line for each hostpci line: its number, and its functions
parse_hostpci_devices() {
    local number value host
    sed -n 's/^hostpci\([0-9]*\): *\(.*\)/\1 \2/p' "/etc/pve/qemu-server/$1.conf" | sort -n | while read -r number value; do
        host=$(echo "$value" | tr , '\n' | sed -n 's/^host=//; /=/d; p' | head -n 1)
        echo "$number $(lspci "$host" | tr '\n' ' ')"
    done
}
hostpci_ids() { parse_hostpci_devices "$1" | cut -d ' ' -f 2-; }

# reserve_pci_usage VMID time:N|pid:N ADDRESS...
reserve_pci_usage() {
    local vmid=$1 validity=$2 each other
    shift 2
    touch "$reservations"
    for each in "$@"; do
        other=$(sed -n "s/^$each \([0-9]* [a-z]*:[0-9]*\)\$/\1/p" "$reservations")
        case $other in
        "" | "$vmid "*) ;;
        *" time:"*)
            [ "${other##*:}" -le "$(date +%s)" ] || { echo "PCI device '$each' is currently reserved for use by VMID '${other%% *}'"; return 1; } ;;
        *" pid:"*)
            [ "$(vm_running_locally "${other%% *}")" != "${other##*:}" ] || { echo "PCI device '$each' already in use by VMID '${other%% *}'"; return 1; } ;;
        esac
    done
    for each in "$@"; do
        sed -i "/^$each /d" "$reservations"
        echo "$each $vmid $validity" >>"$reservations"
    done
}
remove_pci_reservation() { sed -i "/^[^ ]* $1 /d" "$reservations"; }

# prepare_pci_device VMID ADDRESS
prepare_pci_device() {
    pci_dev_group_bind_to_vfio "$2" || { echo "can't unbind/bind PCI group to VFIO '$2'"; return 1; }
    [ ! -e "$devices/$2/reset" ] || pci_dev_reset "$2" ||
        echo "failed to reset PCI device '$2', but trying to continue as not all devices need a reset"
}

# print_hostpci_devices VMID   QEMU's words for them; the addresses on the guest's bus are those of print_pci_addr
print_hostpci_devices() {
    local number functions each slot count
    parse_hostpci_devices "$1" | while read -r number functions; do
        slot=$(echo 0x10 0x11 0x1b 0x1c | cut -d ' ' -f $((number + 1)))
        # shellcheck disable=SC2086 # a list
        set -- $functions
        count=0
        for each in "$@"; do
            if [ $# = 1 ]; then
                echo "-device vfio-pci,host=$each,id=hostpci$number,bus=pci.0,addr=$slot"
            else
                echo "-device vfio-pci,host=$each,id=hostpci$number.$count,bus=pci.0,addr=$slot.$count$([ $count != 0 ] || echo ",multifunction=on")"
            fi
            count=$((count + 1))
        done
    done
}

# --- PVE::QemuServer ----------------------------------------------------------------------------------------------------

vm_running_locally() {
    local pid
    pid=$(cat "/run/qemu-server/$1.pid" 2>/dev/null) || return 0
    ! grep -qsE "^(/usr/bin/)?qemu-system" "/proc/$pid/cmdline" || echo "$pid"
}

# PVE::GuestHelpers::exec_hookscript   its parent is the task, which lives until QEMU runs
exec_hookscript() {
    local vmid=$1 phase=$2
    grep -q '^hookscript:' "/etc/pve/qemu-server/$vmid.conf" || return 0
    lab_start_options=--stay
    start_hook "task$vmid" "$vmid" "$phase"
    lab_start_options=
    wait_hook "task$vmid"
    grep -q '^lab-start: exit 0,' "$lab_run/task$vmid.stderr"
}
end_task() { [ ! -e "$lab_run/task$1.keeper" ] || { end_parent "task$1"; rm -f "$lab_run/task$1.keeper"; }; }

# config_to_command VMID   what it has to do with these VMs' devices; no -id, which is Proxmox's own patch
vm_log= # where it is set, QEMU itself writes what the guest says, after what earlier ones said
more_words() { :; }
config_to_command() {
    echo "qemu-system-x86_64 -name vm$1,debug-threads=on \
-chardev pipe,id=serial0,path=$vm_directory/$1${vm_log:+,logfile=$vm_directory/$1.$vm_log,logappend=on} \
-pidfile /run/qemu-server/$1.pid -daemonize -smp 1 -nodefaults -vga none -nographic -cpu host -m 32 -machine type=pc,accel=kvm \
-bios /lab/firmware.bin -serial chardev:serial0 $(print_hostpci_devices "$1" | tr '\n' ' ') $(more_words "$1")"
}

# vm_start_nolock VMID   A scenario may define before_qemu, which is called when all is ready for it. What happened is in vm_error.
vm_start_nolock() {
    local vmid=$1 ids each
    vm_error=
    exec_hookscript "$vmid" pre-start || { vm_error="hookscript error"; end_task "$vmid"; return 1; }
    ids=$(hostpci_ids "$vmid")
    # shellcheck disable=SC2086 # addresses
    vm_error=$(reserve_pci_usage "$vmid" "time:$(($(date +%s) + 125))" $ids) || { end_task "$vmid"; return 1; }
    for each in $ids; do
        prepare_pci_device "$vmid" "$each" >"$lab_run/prepared" || { vm_error=$(cat "$lab_run/prepared"); end_task "$vmid"; return 1; }
        sed 's/^/    proxmox: /' "$lab_run/prepared"
    done
    before_qemu "$vmid"
    run_qemu "$vmid" || { remove_pci_reservation "$vmid"; end_task "$vmid"; return 1; }
    # shellcheck disable=SC2086
    vm_error=$(reserve_pci_usage "$vmid" "pid:$(vm_running_locally "$vmid")" $ids) || { end_task "$vmid"; return 1; }
    end_task "$vmid"
    exec_hookscript "$vmid" post-start || :
    end_task "$vmid"
}
before_qemu() { [ -z "$vm_witness_at" ] || vm_handed_over=$(witness_of "$vm_witness_at"); }

run_qemu() {
    local vmid=$1 began
    mkdir -p "$vm_directory"
    [ -c /dev/kvm ] || load_module kvm-amd
    rm -f "$vm_directory/$vmid".*
    mkfifo "$vm_directory/$vmid.in" "$vm_directory/$vmid.out"
    cat "$vm_directory/$vmid.out" >"$vm_directory/$vmid.said" &
    lab_reader=$!
    began=$(uptime_ms)
    # shellcheck disable=SC2046,SC2091 # the words of a command
    if ! $(config_to_command "$vmid") >"$vm_directory/$vmid.qemu" 2>&1 </dev/null; then
        vm_error=$(cat "$vm_directory/$vmid.qemu")
        kill $lab_reader
        return 1
    fi
    vm_started_ms=$(($(uptime_ms) - began))
    say "QEMU $vmid has its devices after $vm_started_ms ms"
    sed 's/^/    qemu: /' "$vm_directory/$vmid.qemu"
}

# vm_stop VMID   as `qm stop`
vm_stop() {
    local pid
    pid=$(vm_running_locally "$1")
    exec_hookscript "$1" pre-stop || :
    end_task "$1"
    kill "$pid"
    wait_until 20 process_ended "$pid" || { fail "VM $1 does not end"; return 1; }
    vm_stop_cleanup "$1"
}
# QEMU removes its file with the process number, which is where Proxmox looks, before it lets go of its devices.
# And one whose first thread has ended has not.
process_ended() { [ ! -e "/proc/$1" ] || [ "$(sed -n 's/^State:\t\(.\).*/\1/p; s/^Threads:\t//p' "/proc/$1/status" 2>/dev/null | tr -d '\n')" = Z1 ]; }

# vm_stop_cleanup VMID   also what qmeventd has done when a VM has ended by itself (`qm cleanup`)
vm_stop_cleanup() {
    remove_pci_reservation "$1"
    exec_hookscript "$1" post-stop || :
    end_task "$1"
}

# --- the guest ------------------------------------------------------------------------------------------------------------

vm_pid() { cat "/run/qemu-server/$1.pid"; }
vm_said() { [ "$(grep -c "^vm: $2" "$vm_directory/$1.said")" -ge "${3:-1}" ]; }
# vm_says VMID TEXT [TIMES]   waits until the guest has said a line that begins so, so many times since its QEMU started
vm_says() { wait_until 20 vm_said "$@" || { fail "VM $1 does not say '$2' (${3:-1} times); it said: $(cat "$vm_directory/$1.said")"; return 1; }; }
# vm_do VMID CHARACTER   see programs/firmware.cpp
vm_do() { printf %s "$2" >"$vm_directory/$1.in"; }
vm_witness() { sed -n 's/.*witness //p' "$vm_directory/$1.said" | tail -n 1; }

# start_vm VMID   started, and its guest has looked at its devices
start_vm() {
    vm_start_nolock "$1" || { fail "VM $1 does not start: $vm_error"; return 1; }
    vm_says "$1" ready
    sed 's/^/    | /' "$vm_directory/$1.said"
}
expect_handed_over() { expect_equal "the witness when QEMU is started" "$1" "$vm_handed_over"; }
# expect_guest_sees VMID TEXT   a device, as it says at its start
expect_guest_sees() { grep -q "^vm: .* $2" "$vm_directory/$1.said" || fail "VM $1 does not see $2: $(cat "$vm_directory/$1.said")"; }

# --- who resets what ------------------------------------------------------------------------------------------------------
# The kernel's own functions, by kprobes. Offsets: pci_dev has its bus at 16 and devfn at 56, pci_bus its number at 128; the first member
# of vfio_device is its device, of a device its kobject, of that the name. They are the same from 6.1 to 7.3 (expect_resets would see).

tracing=/sys/kernel/tracing
trace_resets() {
    local device='bus=+128(+16($arg1)):u8 devfn=+56($arg1):u8' vfio='name=+0(+0(+0($arg1))):string' probe
    [ -e "$tracing/kprobe_events" ] || mount -t tracefs tracefs "$tracing"
    while read -r probe; do
        echo "$probe" >>"$tracing/kprobe_events" || fail "the kernel cannot be asked for '$probe'"
    done <<PROBES
p:lab/file pci_reset_function $device
p:lab/port reset_subordinate_store name=+0(+0(\$arg1)):string
p:lab/open vfio_pci_core_enable $vfio
p:lab/close vfio_pci_core_disable $vfio
p:lab/ask vfio_pci_core_ioctl $vfio cmd=\$arg2:x32
p:lab/function __pci_reset_function_locked $device
r:lab/answer __pci_reset_function_locked result=\$retval:s32
p:lab/flr pcie_flr $device
p:lab/bus pcibios_reset_secondary_bus $device
p:lab/pm pci_pm_reset $device probe=\$arg2:u8
p:lab/specific pci_dev_specific_reset $device probe=\$arg2:u8
PROBES
    echo 'cmd == 0x3b6f || cmd == 0x3b71' >"$tracing/events/lab/ask/filter" # VFIO_DEVICE_RESET, VFIO_DEVICE_PCI_HOT_RESET
    echo 'probe == 0' >"$tracing/events/lab/pm/filter"
    echo 'probe == 0' >"$tracing/events/lab/specific/filter"
    echo 1 >"$tracing/events/lab/enable"
    forget_resets
}
forget_resets() { echo >"$tracing/trace"; }

# resets   what happened since, a line each: who (hook; proxmox, played by the scenario; qemu), and what; what follows from a line is indented
resets() {
    grep -v '^#' "$tracing/trace" | tee "$lab_run/trace" | awk '
        function who() {
            if ($0 ~ /^ *pve-gpu/) return "hook"
            if ($0 ~ /^ *sh-/) return "proxmox"
            if ($0 ~ /^ *(qemu|CPU |call_rcu|kvm-)/) return "qemu"
            sub(/^ */, ""); sub(/-[0-9]+ .*/, "")
            return $0 in closers ? "qemu" : $0
        }
        function device() {
            if (match($0, /name="[^"]*"/)) return substr($0, RSTART + 6, RLENGTH - 7)
            match($0, /bus=[0-9]+/); bus = substr($0, RSTART + 4, RLENGTH - 4)
            match($0, /devfn=[0-9]+/); devfn = substr($0, RSTART + 6, RLENGTH - 6)
            return sprintf("0000:%02x:%02x.%d", bus, int(devfn / 8), devfn % 8)
        }
        function line(text) { printf "%-8s %s\n", who() ":", text }
        / file: / { line("writes to reset of " device()) }
        / port: / { line("writes to reset_subordinate of " device()) }
        / open: / { line("opens " device()) }
        # Only QEMU opens them; whoever reads its /proc entries as it ends may be the last to let go.
        / close: / { closer = $0; sub(/^ */, "", closer); sub(/-[0-9]+ .*/, "", closer); closers[closer]; line("closes " device()) }
        / ask: / { line("asks for " (/0x3b6f/ ? "VFIO_DEVICE_RESET" : "VFIO_DEVICE_PCI_HOT_RESET") " of " device()) }
        / answer: / { if ($0 !~ /result=0/) { match($0, /result=[-0-9]+/); line("  no function reset (" substr($0, RSTART + 7, RLENGTH - 7) ")") } }
        / flr: / { line("  flr of " device()) }
        / pm: / { line("  pm reset of " device()) }
        / specific: / { line("  device_specific reset of " device()) }
        / bus: / { line("  bus reset below " device()) }'
}

# expect_resets WHILE [in_any_order|after_the_hook]   all of it since the last time, as on standard input
expect_resets() {
    local order=cat
    case ${2:-} in
    in_any_order) order="sort" ;;
    after_the_hook) order="sed /^hook:/d" ;;
    esac
    $order >"$lab_run/resets.wanted"
    resets | $order >"$lab_run/resets.seen"
    forget_resets
    cmp -s "$lab_run/resets.wanted" "$lab_run/resets.seen" || fail "resets while $1: $(diff "$lab_run/resets.wanted" "$lab_run/resets.seen")"
}

lab_words="$lab_words start_vm vm_stop vm_says expect_handed_over expect_guest_sees expect_resets"
tell_lines
