# Somebody removes a device that a VM has open, while the hook is at work: the kernel's own lock of the PCI core is held for as
# long as that VM runs, and the hook's next remove hangs for real.
# turn: 2
# machine: arc_and_slot
# timeout: 300
. /lab/faults.sh
fault_host
others_gpu=0000:06:00.0
step_seconds=12
fault_settings
in_vfio_unregister() { grep -q vfio_unregister_group_dev "/proc/$1/stack"; }
is_gone() { [ -z "$(process_state "$1")" ] || [ "$(process_state "$1")" = Z ]; }

begin_cell "the kernel's rescan lock is held when the card is removed" "a VM's device removed under it by another program"
to_vfio $others_gpu 0000:06:00.1 0000:06:00.2
stop_at "$(file_of reset)"
start_hook faulty 101 pre-start
wait_until_stopped
hold_vfio $others_gpu
sh -c "exec echo 1 >$devices/$others_gpu/remove" &
writer=$!
wait_until 20 in_vfio_unregister $writer || fail "the writer is not stuck"
began=$(uptime_ms)
go_on "$(file_of reset)" 1
wait_hook faulty
after_fault
cell_ms=$(($(uptime_ms) - began))
expect_answer 1 12000
expect_output "write is stuck in the kernel"
others_card=0000:06:00.1
other_pci_work 3
expect_work "waits" # for that VM, not for the hook
run_meanwhile "until a VM releases its device"
expect_output "pid $writer"
release $others_gpu
wait_until 30 is_gone $writer || fail "the writer is still stuck"
no_child_is_left() { [ -z "$(stuck_children)" ]; }
wait_until 30 no_child_is_left || fail "the hook's child is still stuck"
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio $gpu
expect_clean $usb
expect_host_as_before
cell_second="$cell_while$(last_line | sed 's/lab-start: \([^,]*\),.*/\1/'), $(report_says outcome), $(cleanness)"
print_cell
