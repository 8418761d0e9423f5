# Somebody rescans all buses over and over, for ten seconds: the start goes on trying, is never wrong about the card, and ends soon
# after the last rescan.
# machine: arc
# slots: acpiphp pciehp
# turn: 16
# log may: drivers/pci/access.c:.* at pci_cfg_access_unlock|WARNING: .*pci_cfg_access_unlock — reset_subordinate unlocks other devices than it has locked when a rescan comes between: that is what this is about
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0
# The negative control, with all of the card: that is no reset either.
remove 0000:01:00.0
rescan 0000:01
expect_still_dirty 0000:05:00.0
(
    end=$(($(uptime_ms) + 10000))
    while [ "$(uptime_ms)" -lt $end ]; do
        echo 1 >$sys/bus/pci/rescan
        { echo 1 >$sys/class/pci_bus/0000:01/rescan; } 2>/dev/null || :
    done
) &
busy=$!
hook 101 pre-start
wait $busy
expect_exit 0
expect_within 40000
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_no_output "power-cycle"
expect_no_output "switch the host off"
expect_no_output "reboot the host"
# Not host_facts: a bridge that two find at once may lose what its control register says of errors.
expect_file_says $sys/bus/pci/drivers_autoprobe 1
for bridge in 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0; do expect_driver $bridge pcieport; done
