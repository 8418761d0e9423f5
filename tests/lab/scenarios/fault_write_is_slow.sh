# Each of the five writes takes a second, and has had its effect when it returns: it is waited for.
# machine: arc_and_slot
# slots: pciehp
# timeout: 600
# turn: 4
step_seconds=12
. /lab/faults.sh
fault_host

for write in unbind remove reset rescan bind; do
    [ $write != bind ] || native_first
    begin_cell "$write is slow" "a FIFO in its place, the kernel's own work behind it"
    stop_at "$(file_of $write)"
    start_hook faulty 101 pre-start
    wait_until_stopped
    other_pci_work
    sleep 1 # that it takes long is what this is about
    go_on "$(file_of $write)" "$(text_of $write)"
    wait_hook faulty
    after_fault
    expect_answer 0 $((step_seconds * 1000))
    [ "$cell_ms" -ge 1000 ] || fail "it was not waited for"
    expect_work "goes on"
    expect_clean $usb
    second_run
    end_cell
done
