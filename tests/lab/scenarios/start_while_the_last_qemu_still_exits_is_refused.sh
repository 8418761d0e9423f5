# A VM that was told to stop is started again while its QEMU still exits: it has removed its file with the process number, which is where
# Proxmox looks, and still has the card open. The start is refused and says who has it, and nothing is written; when QEMU has ended the
# same start has a clean card. Without the hook QEMU itself fails, after Proxmox has reset the functions under the one that still runs.
# machine: arc
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
trace_resets
start_vm 101
dirty 0000:05:00.0
pid=$(vm_pid 101)
kill -STOP "$pid"
rm /run/qemu-server/101.pid
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
forget_resets
! vm_start_nolock 101 || fail "VM 101 was started twice"
expect_exit 1
expect_output "$pid"
expect_file_says /run/pve-gpu-hook/101.json in-use
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0
expect_resets "it is refused" </dev/null

sed '/^hookscript:/d' /etc/pve/qemu-server/101.conf | conf 102
! vm_start_nolock 102 || fail "a second QEMU has the card"
expect_resets "another VM is started without the hook" <<'RESETS'
proxmox: writes to reset of 0000:03:00.0
proxmox:   bus reset below 0000:02:01.0
proxmox: writes to reset of 0000:04:00.0
proxmox:   bus reset below 0000:02:04.0
RESETS
case $vm_error in *"failed to open /dev/vfio/"*) ;; *) fail "QEMU failed with '$vm_error'" ;; esac

kill -TERM "$pid"
kill -CONT "$pid"
wait_until 20 process_ended "$pid" || fail "QEMU does not end"
vm_stop_cleanup 101
start_vm 101
expect_handed_over 0x00000000
vm_stop 101
