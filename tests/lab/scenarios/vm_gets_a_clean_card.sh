# QEMU opens GPU and audio of a card that the hook has recovered, and the card is clean when the guest first looks. From then on QEMU
# resets the two functions, at its start and when the guest resets its machine, and the kernel does at its end: none of that reaches the
# rest of the card, so without the hook the next guest gets what the last one left.
# machine: arc
# slots: acpiphp pciehp
# qemu: yes
# core: yes
. /lab/vm.sh
vm_witness_at=0000:05:00.0
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0
trace_resets

start_vm 101
expect_handed_over 0x00000000
expect_clean 0000:05:00.0
expect_guest_sees 101 "1234:1111 class 0380"
expect_guest_sees 101 "8086:2668 class 0403"
expect_open 0000:03:00.0
expect_resets "it starts" <<'RESETS'
hook:    writes to reset_subordinate of 0000:00:1c.0
hook:      bus reset below 0000:00:1c.0
proxmox: writes to reset of 0000:03:00.0
proxmox:   bus reset below 0000:02:01.0
proxmox: writes to reset of 0000:04:00.0
proxmox:   bus reset below 0000:02:04.0
qemu:    opens 0000:03:00.0
qemu:      bus reset below 0000:02:01.0
qemu:    opens 0000:04:00.0
qemu:      bus reset below 0000:02:04.0
qemu:    asks for VFIO_DEVICE_RESET of 0000:04:00.0
qemu:      bus reset below 0000:02:04.0
qemu:    asks for VFIO_DEVICE_RESET of 0000:03:00.0
qemu:      bus reset below 0000:02:01.0
RESETS

dirty 0000:05:00.0
vm_do 101 r
vm_says 101 ready 2
expect_still_dirty 0000:05:00.0
expect_resets "the guest resets its machine" <<'RESETS'
qemu:    asks for VFIO_DEVICE_RESET of 0000:04:00.0
qemu:      bus reset below 0000:02:04.0
qemu:    asks for VFIO_DEVICE_RESET of 0000:03:00.0
qemu:      bus reset below 0000:02:01.0
RESETS

pid=$(vm_pid 101)
vm_do 101 p
wait_until 20 process_ended "$pid" || fail "the guest cannot switch its machine off"
expect_still_dirty 0000:05:00.0
expect_resets "it ends" in_any_order <<'RESETS'
qemu:    closes 0000:03:00.0
qemu:      bus reset below 0000:02:01.0
qemu:    closes 0000:04:00.0
qemu:      bus reset below 0000:02:04.0
RESETS
vm_stop_cleanup 101

sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
start_vm 101
expect_handed_over 0x0000002a
expect_still_dirty 0000:05:00.0
vm_stop 101
