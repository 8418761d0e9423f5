# Two VMs run with a card of their own each. The start of the second leaves the first one's card alone while its guest uses it, and so does
# its end; each start has a clean card. Without the hook the second starts with what its last guest left.
# machine: two_arcs
# slots: acpiphp pciehp
# qemu: yes
# turn: 4
. /lab/vm.sh
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
conf 102 <<CONF
$hook_line
hostpci0: 0000:08:00.0
hostpci1: 0000:09:00.0
CONF
dirty_card 0000:05:00.0 0000:0a:00.0
start_vm 101
expect_clean 0000:05:00.0
expect_still_dirty 0000:0a:00.0
dirty 0000:05:00.0
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
pid=$(vm_pid 101)
start_vm 102
expect_clean 0000:0a:00.0
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0
dirty 0000:0a:00.0
vm_stop 102
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_open 0000:03:00.0
expect_equal "the first VM's process" "$pid" "$(vm_running_locally 101)"
vm_do 101 w
vm_says 101 "witness"

sed -i '/^hookscript:/d' /etc/pve/qemu-server/102.conf
start_vm 102
expect_still_dirty 0000:0a:00.0 0000:05:00.0
vm_stop 102
vm_stop 101
