# A card of one slot with three functions, all of them the guest's: the guest sees the clean register itself. What a guest leaves there its
# own reset clears, because QEMU then resets the bus that it has all of. QEMU is killed while the card writes to the guest's memory: the
# kernel resets the bus, nothing is written any more, and the next start is as the first. Handed over without the hook it is dirty.
# turn: 2
# machine: slot
# slots: acpiphp pciehp
# load-first: vfio native
# qemu: yes
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
expect_guest_sees 101 "1234:1111 class 0380"
expect_guest_sees 101 "8086:2668 class 0403"
expect_guest_sees 101 "1b36:000d class 0c03 witness 00000000"
expect_resets "it starts" <<'RESETS'
hook:    writes to reset_subordinate of 0000:00:1c.0
hook:      bus reset below 0000:00:1c.0
proxmox: writes to reset of 0000:01:00.0
proxmox:   no function reset (-25)
qemu:    opens 0000:01:00.0
qemu:      no function reset (-25)
qemu:    opens 0000:01:00.1
qemu:    opens 0000:01:00.2
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
RESETS

vm_do 101 d
vm_says 101 "witness 0000002a"
vm_do 101 r
vm_says 101 ready 2
expect_equal "the witness after the guest's own reset" 00000000 "$(vm_witness 101)"
expect_resets "the guest resets its machine" <<'RESETS'
qemu:    asks for VFIO_DEVICE_PCI_HOT_RESET of 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
RESETS

vm_do 101 d
vm_says 101 "witness 0000002a" 2
vm_do 101 l
vm_says 101 "dma goes on"
pid=$(vm_pid 101)
kill -KILL "$pid"
wait_until 20 process_ended "$pid" || fail "QEMU does not end"
expect_resets "it is killed" in_any_order <<'RESETS'
qemu:    closes 0000:01:00.0
qemu:    closes 0000:01:00.1
qemu:    closes 0000:01:00.2
qemu:      bus reset below 0000:00:1c.0
RESETS
vm_stop_cleanup 101

dirty 0000:01:00.2
start_vm 101
expect_handed_over 0x00000000
expect_guest_sees 101 "1b36:000d class 0c03 witness 00000000"
vm_do 101 m
vm_says 101 "dma done"
vm_stop 101

sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
dirty 0000:01:00.2
start_vm 101
expect_handed_over 0x0000002a
vm_stop 101
