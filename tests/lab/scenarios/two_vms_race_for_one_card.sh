# Two VMs want one card at the same moment: one gets it, the other is told who has it, also in the time between the end of
# the first one's hook and QEMU's opening of the device, and when QEMU has it.
# machine: arc
pve_host
for vmid in 101 102; do
    conf $vmid <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
done
lab_start_options=--stay
start_hook one 101 pre-start
start_hook two 102 pre-start
wait_hook one
first=$(last_line)
wait_hook two
second=$(last_line)
case $first/$second in
*"exit 0"*/*"exit 1"*) winner=101 loser=102 name=one ;;
*"exit 1"*/*"exit 0"*) winner=102 loser=101 name=two ;;
*) fail "one of them should have won: $first / $second" && exit ;;
esac
say "VM $winner has won"
expect_file_says /run/pve-gpu-hook/$loser.json in-use
expect_file_says /run/pve-gpu-hook/$loser.json "VM $winner"

# The window: the winner's hook has ended, its task still lives, QEMU has not opened the card.
dirty 0000:05:00.0
lab_start_options=
hook $loser pre-start
expect_exit 1
expect_output "VM $winner"
expect_still_dirty 0000:05:00.0

# QEMU has it.
hold_vfio 0000:03:00.0
holder_pid 0000:03:00.0 >/run/qemu-server/$winner.pid
end_parent $name
hook $loser pre-start
expect_exit 1
expect_output "VM $winner (pid $(holder_pid 0000:03:00.0), lab-hold)"
expect_still_dirty 0000:05:00.0

# The winner stops.
release 0000:03:00.0
rm /run/qemu-server/$winner.pid
hook $winner post-stop
hook $loser pre-start
expect_exit 0
expect_clean 0000:05:00.0
