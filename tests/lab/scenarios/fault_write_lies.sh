# Each of the five writes succeeds and does nothing: the hook looks, and does not believe it.
# machine: arc_and_slot
# slots: pciehp
# timeout: 600
# turn: 4
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
. /lab/faults.sh
fault_host

# lies WRITE EXIT DEADLINES
lies() {
    begin_cell "$1 succeeds without effect" "a plain file in its place"
    lying_writes "$(file_of "$1")"
    hook 101 pre-start
    after_fault
    other_pci_work
    expect_answer "$2" $(($3 * step_seconds * 1000))
    expect_work "goes on"
    real_writes "$(file_of "$1")"
}
lies unbind 0 1
expect_output "is still bound to 'bochs-drm'"
second_run
end_cell
lies remove 0 1
expect_output "is still there after it was removed"
second_run
end_cell
# Nothing can be looked at: the kernel puts back what a reset clears in the configuration space. The next start resets it.
lies reset 0 0
expect_still_dirty $usb
second_run
end_cell
lies rescan 0 1
expect_output "not every function came back"
second_run
end_cell
native_first
lies bind 1 2
expect_output "could not be bound to 'vfio-pci'"
second_run
end_cell
