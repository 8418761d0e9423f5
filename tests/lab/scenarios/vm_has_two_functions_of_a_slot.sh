# A card of one slot, of which the guest gets GPU and audio by a line each. The third function is of their group, so QEMU has the group and
# resets the whole bus at its start and when the guest resets its machine. Handed over without the hook the card is dirty.
# machine: slot
# slots: acpiphp pciehp
# qemu: yes
# turn: 4
. /lab/vm.sh
vm_witness_at=0000:01:00.2
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:01:00.0
hostpci1: 0000:01:00.1
CONF
dirty_card 0000:01:00.2
trace_resets
start_vm 101
expect_handed_over 0x00000000
expect_guest_sees 101 "1234:1111 class 0380"
expect_guest_sees 101 "8086:2668 class 0403"
expect_resets "it starts" <<'RESETS'
hook:    writes to reset_subordinate of 0000:00:1c.0
hook:      bus reset below 0000:00:1c.0
proxmox: writes to reset of 0000:01:00.0
proxmox:   no function reset (-25)
qemu:    opens 0000:01:00.0
qemu:      no function reset (-25)
qemu:    opens 0000:01:00.1
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.1
qemu:      bus reset below 0000:00:1c.0
RESETS
dirty 0000:01:00.2
vm_do 101 r
vm_says 101 ready 2
expect_clean 0000:01:00.2
expect_resets "the guest resets its machine" <<'RESETS'
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.1
qemu:      bus reset below 0000:00:1c.0
RESETS
vm_stop 101

sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
dirty 0000:01:00.2
start_vm 101
expect_handed_over 0x0000002a
vm_stop 101
