# QEMU is killed (SIGKILL, as the kernel does when memory runs out) and the VM started again: its card is clean. Without the hook it has
# what was there when QEMU died.
# machine: arc
# slots: acpiphp pciehp
# qemu: yes
# turn: 4
. /lab/vm.sh
vm_witness_at=0000:05:00.0
pve_host
conf 101 <<CONF
$hook_line
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0
for start in first second; do
    start_vm 101
    expect_handed_over 0x00000000
    expect_clean 0000:05:00.0
    dirty 0000:05:00.0
    pid=$(vm_pid 101)
    kill -KILL "$pid"
    wait_until 20 process_ended "$pid" || fail "QEMU does not end"
    vm_stop_cleanup 101
    expect_still_dirty 0000:05:00.0
done
sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
start_vm 101
expect_handed_over 0x0000002a
expect_still_dirty 0000:05:00.0
vm_stop 101
