# Any of the card's functions may be missing at the start: each comes back, and what the guest is given is on vfio-pci.
# turn: 2
# machine: arc
# slots: acpiphp pciehp
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
hostpci2: 0000:05:00.0
CONF
dirty_card 0000:05:00.0
for missing in 03 04 05 "03 04" "03 05" "04 05" "03 04 05"; do
    present 0000:05:00.0 && dirty 0000:05:00.0
    for bus in $missing; do remove 0000:$bus:00.0; done
    hook 101 pre-start
    expect_exit 0
    expect_within 30000 # three machines at once; alone it is a few seconds
    expect_bound_to_vfio 0000:03:00.0 0000:04:00.0 0000:05:00.0
    expect_clean 0000:05:00.0
    expect_no_output "reboot the host"
    expect_host_as_before
done
# The switch itself, with all that is on it.
remove 0000:01:00.0
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0 0000:05:00.0
