# A card whose GPU has a function-level reset: it gets one from Proxmox's write to `reset`, from QEMU's open, at QEMU's start, at the guest's
# own reset and at the end. At the two in between all of the bus is reset as well, where the guest has all of it.
# machine: flr
# slots: acpiphp pciehp
# qemu: yes
# turn: 4
. /lab/vm.sh
vm_witness_at=0000:01:00.2
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:01:00
CONF
dirty_card 0000:01:00.2
trace_resets
start_vm 101
expect_handed_over 0x00000000
expect_guest_sees 101 "1af4:1050 class 0380"
expect_guest_sees 101 "1b36:000d class 0c03 witness 00000000"
expect_resets "it starts" after_the_hook <<'RESETS'
proxmox: writes to reset of 0000:01:00.0
proxmox:   flr of 0000:01:00.0
qemu:    opens 0000:01:00.0
qemu:      flr of 0000:01:00.0
qemu:    opens 0000:01:00.1
qemu:    opens 0000:01:00.2
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
qemu:    asks for VFIO_DEVICE_RESET of 0000:01:00.0
qemu:      flr of 0000:01:00.0
RESETS
vm_do 101 d
vm_do 101 r
vm_says 101 ready 2
expect_equal "the witness after the guest's own reset" 00000000 "$(vm_witness 101)"
expect_resets "the guest resets its machine" <<'RESETS'
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
qemu:    asks for VFIO_DEVICE_RESET of 0000:01:00.0
qemu:      flr of 0000:01:00.0
RESETS
vm_stop 101
expect_resets "it stops" in_any_order <<'RESETS'
qemu:    closes 0000:01:00.0
qemu:      flr of 0000:01:00.0
qemu:    closes 0000:01:00.1
qemu:    closes 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
RESETS

sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
dirty 0000:01:00.2
start_vm 101
expect_handed_over 0x0000002a
vm_stop 101
