# Each of the five writes is refused by the kernel. Another attribute of the kernel's own lies in the place of the one that is
# written to, and answers what it answers to such a text.
# machine: arc_and_slot
# slots: pciehp
# timeout: 600
# turn: 4
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
. /lab/faults.sh
fault_host

# refused WRITE ERRNO INSTEAD EXIT
refused() {
    begin_cell "$1 is refused ($2)" "$3 in its place"
    mount --bind "$sys/bus/pci/$3" "$(file_of "$1")"
    hook 101 pre-start
    after_fault
    other_pci_work
    expect_answer "$4" 0
    expect_work "goes on"
    real_writes "$(file_of "$1")"
}
refused unbind ENODEV drivers/pcieport/unbind 0
expect_clean $usb # the whole card was removed instead
second_run
end_cell
# EBUSY is asked again, twice, and then believed. A port that has a driver answers so to its `enable`.
refused remove EBUSY devices/$port/enable 0
expect_clean $usb
second_run
end_cell
refused reset EBUSY devices/$port/enable 0
expect_still_dirty $usb
expect_output "refuses to reset"
second_run
end_cell
refused rescan EBUSY devices/$port/enable 0
expect_clean $usb
second_run
end_cell
native_first
refused bind ENODEV drivers/pcieport/bind 1
expect_output "could not be bound to 'vfio-pci'"
second_run
end_cell
# A read-only /sys, as in a container: refused before the kernel's PCI core hears of it.
begin_cell "every write is refused (EROFS)" "/sys mounted read-only"
mount -o remount,bind,ro /sys
hook 101 pre-start
after_fault
expect_answer 1 0
other_pci_work
mount -o remount,bind,rw /sys
second_run
end_cell
