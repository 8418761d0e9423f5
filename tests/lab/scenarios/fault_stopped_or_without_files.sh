# The hook is stopped or killed, /run is full, or /etc/pve does not answer.
# machine: arc_and_slot
# slots: pciehp
# timeout: 600
# turn: 4
step_seconds=12
. /lab/faults.sh
fault_host

begin_cell "SIGTERM while the card is off the bus" "sent to the hook"
lying_writes "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until 20 absent $gpu || fail "the GPU was not removed"
# Stopped for a moment, so that it does not look again before it hears of its end.
kill -STOP "$(hook_pid faulty)"
real_writes "$(file_of rescan)"
kill -TERM "$(hook_pid faulty)"
kill -CONT "$(hook_pid faulty)"
wait_hook faulty
after_fault
expect_answer 1 0
expect_output "the task was stopped"
expect_host "as before"
other_pci_work
expect_work "goes on"
second_run
end_cell

begin_cell "SIGTERM in a write that never returns" "sent to the hook, remove on a frozen file system"
hang_writes "$(file_of remove)"
start_hook faulty 101 pre-start
wait_until 20 child_hangs || fail "nothing hangs"
kill -TERM "$(hook_pid faulty)"
wait_hook faulty
after_fault
expect_answer 1 0
other_pci_work
expect_work "goes on"
run_meanwhile pve-gpu-child
thaw_writes
real_writes "$(file_of remove)"
second_run
end_cell

# The guardian child is killed too.
begin_cell "SIGKILL of the hook and all its children while the card is off the bus" "sent to each"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
kill -KILL $(pidof pve-gpu-hook)
wait_hook faulty
umount -l "$(file_of rescan)"
kill -KILL $(stuck_children) 2>/dev/null || :
after_fault
expect_killed_by 9
other_pci_work
expect_work "goes on"
second_run
end_cell

begin_cell "/run is full before the start" "a small tmpfs, filled"
remember $gpu
mount -o remount,size=256k /run
dd if=/dev/zero of=/run/filling bs=4k 2>/dev/null || :
hook 101 pre-start
rm /run/filling
after_fault
expect_answer 1 0
expect_output "No space left on device"
expect_untouched $gpu
expect_host "as before"
other_pci_work
expect_work "goes on"
second_run
end_cell

begin_cell "/run is full while the card is off the bus" "a small tmpfs, filled"
stop_at "$(file_of rescan)"
start_hook faulty 101 pre-start
wait_until_stopped
dd if=/dev/zero of=/run/filling bs=4k 2>/dev/null || :
go_on "$(file_of rescan)" 1
wait_hook faulty
after_fault
rm /run/filling
other_pci_work
expect_work "goes on"
second_run
end_cell
mount -o remount,size=50% /run

begin_cell "/etc/pve is gone" "its directory is empty"
remember $gpu
mkdir -p /lab/empty
mount --bind /lab/empty /etc/pve
hook 101 pre-start
after_fault
expect_answer 1 0
expect_output "cluster file system is not mounted"
expect_untouched $gpu
expect_host "as before"
other_pci_work
expect_work "goes on"
umount /etc/pve
second_run
end_cell

# A FUSE file system whose server has not answered yet, and then one whose server is gone: what pmxcfs is.
load_module fuse
begin_cell "/etc/pve never answers" "a FUSE file system without answers"
remember $gpu
(
    exec 9<>/dev/fuse
    mount -t fuse -o fd=9,rootmode=40755,user_id=0,group_id=0 pmxcfs /etc/pve
    exec sleep 100000
) &
server=$!
wait_until 10 is_mounted /etc/pve || fail "/etc/pve is not mounted"
hook 101 pre-start
after_fault
expect_answer 1 10000
expect_output "does not answer"
expect_untouched $gpu
expect_host "as before"
other_pci_work
expect_work "goes on"
kill $server
wait $server || :
umount -l /etc/pve
second_run
end_cell

begin_cell "/etc/pve lost its server" "a FUSE file system whose server has ended"
remember $gpu
(
    exec 9<>/dev/fuse
    mount -t fuse -o fd=9,rootmode=40755,user_id=0,group_id=0 pmxcfs /etc/pve
) &
wait $!
wait_until 10 is_mounted /etc/pve || fail "/etc/pve is not mounted"
hook 101 pre-start
after_fault
expect_answer 1 0
expect_output "refuses this file"
expect_untouched $gpu
expect_host "as before"
other_pci_work
expect_work "goes on"
umount -l /etc/pve
second_run
end_cell
