# A GPU that does not come back from its function-level reset, by the setting `reset_method` (the device table does the same for models that
# are known for it): nobody gives it one from the start to the stop, alone on its bus and beside two more functions, where the kernel offers no
# reset of the bus. After the stop the kernel's own order is back. (vm_has_a_card_with_flr is the control: without the setting it gets four.)
# machine: flr
# slots: acpiphp pciehp
# qemu: yes
# turn: 2
. /lab/vm.sh
pve_host
settings <<'JSON'
{ "devices": { "1af4:1050": { "reset_method": "bus" } } }
JSON
conf 101 <<CONF
$hook_line
hostpci0: 0000:01:00
CONF
conf 201 <<CONF
$hook_line
hostpci0: 0000:02:00.0
CONF
no_flr_of() { # VMID GPU RESET_METHOD AFTERWARDS
    expect_file_says "$devices/$2/reset_method" flr
    forget_resets
    start_vm "$1"
    expect_equal "the GPU's reset_method" "$3" "$(cat "$devices/$2/reset_method")"
    vm_do "$1" r
    vm_says "$1" ready 2
    vm_stop "$1"
    resets >"$lab_run/all"
    cat "$lab_run/all"
    ! grep "flr of $2" "$lab_run/all" || fail "$2 was given a function-level reset"
    [ "$(grep -c "qemu: *bus reset" "$lab_run/all")" -ge 2 ] || fail "QEMU has not reset the bus of $2 at its start and at the guest's reset"
    expect_equal "the GPU's reset_method after the stop" "$4" "$(cat "$devices/$2/reset_method")"
    expect_no_output "could not be put back"
}
trace_resets
dirty_card 0000:01:00.2
# The kernel has listed `bus` when it found the first of the three, and does not take it back.
no_flr_of 101 0000:01:00.0 '' "flr pm"
no_flr_of 201 0000:02:00.0 bus "flr pm bus"
