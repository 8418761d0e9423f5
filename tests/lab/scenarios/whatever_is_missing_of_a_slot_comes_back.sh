# Any of the functions of a card's slot may be missing at the start, whether the guest has the whole slot or names each: what comes
# back beside its GPU is the card's, and no stranger in its IOMMU group.
# turn: 2
# machine: two_slots
# slots: acpiphp pciehp
pve_host
dirty_card 0000:01:00.2 0000:02:00.2
remember 0000:02:00.0 0000:02:00.1 0000:02:00.2
try() { # MISSING...
    local each
    present 0000:01:00.2 && dirty 0000:01:00.2
    for each in "$@"; do remove 0000:01:00.$each; done
    hook 101 pre-start
    expect_exit 0
    expect_within 30000 # three machines at once; alone it is a few seconds
    expect_bound_to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
    expect_clean 0000:01:00.2
    expect_no_output "reboot the host"
}
conf 101 <<'CONF'
hostpci0: 0000:01:00
CONF
try 1
try 2
try 0
try 1 2
try 0 1 2
conf 101 <<'CONF'
hostpci0: 0000:01:00.0
hostpci1: 0000:01:00.1
hostpci2: 0000:01:00.2
CONF
try 0
try 1
try 0 2
expect_untouched 0000:02:00.0 0000:02:00.1 0000:02:00.2
expect_still_dirty 0000:02:00.2
expect_host_as_before
