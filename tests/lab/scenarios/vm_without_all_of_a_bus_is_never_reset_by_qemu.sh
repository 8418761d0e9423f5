# A card of one slot whose functions have groups of their own, and the guest gets two of the three: neither Proxmox's write to `reset` nor
# QEMU can reset anything at any time, and QEMU says so. Without the hook the guest sees what the last one has left, also after its own
# reset; with it the guest sees a clean card.
# machine: slot_header_00
# qemu: yes
# core: yes
. /lab/vm.sh
vm_witness_at=0000:01:00.2
pve_host
conf 101 <<CONF
hostpci0: 0000:01:00.0
hostpci3: 0000:01:00.2
CONF
remove 0000:01:00.0 0000:01:00.1 0000:01:00.2
rescan 0000:01
dirty 0000:01:00.2
trace_resets
start_vm 101
expect_guest_sees 101 "1b36:000d class 0c03 witness 0000002a"
expect_file_says "$vm_directory/101.qemu" "vfio: Cannot reset device 0000:01:00.0, depends on group"
vm_do 101 r
vm_says 101 ready 2
expect_equal "the witness after the guest's own reset" 0000002a "$(vm_witness 101)"
vm_do 101 m
vm_says 101 "dma done"
vm_stop 101
expect_resets "it starts, resets its machine and stops" in_any_order <<'RESETS'
proxmox: writes to reset of 0000:01:00.0
proxmox:   no function reset (-25)
qemu:    opens 0000:01:00.0
qemu:      no function reset (-25)
qemu:    opens 0000:01:00.2
qemu:    closes 0000:01:00.2
qemu:    closes 0000:01:00.0
RESETS

(echo "$hook_line"; cat /etc/pve/qemu-server/101.conf) >"$lab_run/conf"
conf 101 <"$lab_run/conf"
dirty 0000:01:00.2
start_vm 101
expect_handed_over 0x00000000
expect_guest_sees 101 "1b36:000d class 0c03 witness 00000000"
vm_do 101 m
vm_says 101 "dma done"
vm_stop 101
