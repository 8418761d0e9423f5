# What `reset_method` of a GPU that offers a function-level reset makes of Proxmox's write to `reset`, QEMU's open, its start, the guest's own
# reset and the end of it, with nothing beside the GPU on its bus and with two more functions. docs/after-the-hook.md has it as a table.
# machine: flr
# qemu: yes
# turn: 4
# timeout: 600
. /lab/vm.sh
pve_host
echo "hostpci0: 0000:01:00" | conf 101
echo "hostpci0: 0000:01:00.0" | conf 102
echo "hostpci0: 0000:02:00.0" | conf 201
trace_resets

# start, reset and stop VMID   what Proxmox and QEMU do, in short
in_short() { resets | sed 's/VFIO_DEVICE_//; s/0000:0\([0-9a-f]\):00/\1/; s/0000:00:1c.0/1/; s/0000:00:1d.0/2/; s/^\(.\)[^:]*: */\1 /' | tr '\n' ',' | sed 's/,$//; s/,/, /g'; }
use() {
    forget_resets
    start_vm "$1"
    echo "start: $(in_short)"
    forget_resets
    vm_do "$1" r
    vm_says "$1" ready 2
    echo "reset: $(in_short)"
    forget_resets
    vm_stop "$1"
    resets | sort >"$lab_run/stop"
    echo "stop: $(sed 's/^qemu: *//; s/0000:0\([0-9a-f]\):00/\1/; s/0000:00:1c.0/1/; s/0000:00:1d.0/2/' "$lab_run/stop" | grep -v closes | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
}
accepts() { (echo "$2" >"$devices/$1/reset_method") 2>/dev/null; }
# expect_use GPU VMID METHOD   what it did, as on standard input
expect_use() {
    cat >"$lab_run/use.wanted"
    accepts "$1" "$3" || { fail "$1 does not accept '$3'"; return 0; }
    use "$2" | grep '^start: \|^reset: \|^stop: ' >"$lab_run/use.seen"
    echo "USE $1 VM $2 '$3'"
    cat "$lab_run/use.seen"
    cmp -s "$lab_run/use.wanted" "$lab_run/use.seen" || fail "$1 with reset_method '$3': $(diff "$lab_run/use.wanted" "$lab_run/use.seen")"
}

# Alone on its bus.
expect_use 0000:02:00.0 201 flr <<'USE'
start: p writes to reset of 2.0, p flr of 2.0, q opens 2.0, q flr of 2.0, q asks for RESET of 2.0, q flr of 2.0
reset: q asks for RESET of 2.0, q flr of 2.0
stop: flr of 2.0
USE
expect_use 0000:02:00.0 201 pm <<'USE'
start: p writes to reset of 2.0, p pm reset of 2.0, q opens 2.0, q pm reset of 2.0, q asks for RESET of 2.0, q pm reset of 2.0
reset: q asks for RESET of 2.0, q pm reset of 2.0
stop: pm reset of 2.0
USE
# The kernel has reset the bus and then says ENOTTY: with these slots it finds no active link. QEMU believes it.
expect_use 0000:02:00.0 201 bus <<'USE'
start: p writes to reset of 2.0, p bus reset below 2, p no function reset (-25), q opens 2.0, q bus reset below 2, q no function reset (-25), q asks for PCI_HOT_RESET of 2.0, q bus reset below 2
reset: q asks for PCI_HOT_RESET of 2.0, q bus reset below 2
stop: bus reset below 2
USE
expect_use 0000:02:00.0 201 '' <<'USE'
start: p writes to reset of 2.0, q opens 2.0, q asks for PCI_HOT_RESET of 2.0, q bus reset below 2
reset: q asks for PCI_HOT_RESET of 2.0, q bus reset below 2
stop: bus reset below 2
USE

# With two more functions on the bus. The guest has the GPU alone, and with it their group.
expect_use 0000:01:00.0 102 flr <<'USE'
start: p writes to reset of 1.0, p flr of 1.0, q opens 1.0, q flr of 1.0, q asks for RESET of 1.0, q flr of 1.0
reset: q asks for RESET of 1.0, q flr of 1.0
stop: flr of 1.0
USE
expect_use 0000:01:00.0 102 '' <<'USE'
start: p writes to reset of 1.0, q opens 1.0, q asks for PCI_HOT_RESET of 1.0, q bus reset below 1
reset: q asks for PCI_HOT_RESET of 1.0, q bus reset below 1
stop: bus reset below 1
USE

# All of them are the guest's.
! accepts 0000:01:00.0 bus || fail "'bus' is accepted with three functions on the bus"
expect_use 0000:01:00.0 101 flr <<'USE'
start: p writes to reset of 1.0, p flr of 1.0, q opens 1.0, q flr of 1.0, q opens 1.1, q opens 1.2, q asks for PCI_HOT_RESET of 1.2, q bus reset below 1, q asks for RESET of 1.0, q flr of 1.0
reset: q asks for PCI_HOT_RESET of 1.2, q bus reset below 1, q asks for RESET of 1.0, q flr of 1.0
stop: bus reset below 1, flr of 1.0
USE
expect_use 0000:01:00.0 101 '' <<'USE'
start: p writes to reset of 1.0, q opens 1.0, q opens 1.1, q opens 1.2, q asks for PCI_HOT_RESET of 1.2, q bus reset below 1
reset: q asks for PCI_HOT_RESET of 1.2, q bus reset below 1
stop: bus reset below 1
USE
