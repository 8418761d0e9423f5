# Each of the five writes hangs in the kernel for ever: the hook answers at its deadline, only what must be undone is undone,
# other programs' PCI work goes on, a second start says who is stuck, and one after the end of the hang ends well.
# machine: arc_and_slot
# slots: acpiphp pciehp
# timeout: 600
# turn: 4
. /lab/faults.sh
fault_host

for write in unbind remove reset rescan bind; do
    [ $write != bind ] || native_first
    begin_cell "$write never returns" "a file of a frozen file system in its place"
    hang_writes "$(file_of $write)"
    start_hook faulty 101 pre-start
    wait_until 20 child_hangs || fail "nothing hangs"
    other_pci_work
    wait_hook faulty
    after_fault
    expect_answer 1 $((step_seconds * 1000))
    expect_work "goes on"
    expect_output "write is stuck in the kernel"
    say "host: $cell_host"
    run_meanwhile "pve-gpu-child"
    thaw_writes
    real_writes "$(file_of $write)"
    second_run
    end_cell
done
