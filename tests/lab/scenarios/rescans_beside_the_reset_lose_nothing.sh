# One rescan of somebody else's, at any moment of the start, of all buses, of this card's port or of another one: the card is recovered all
# the same.
# machine: arc_and_slot
# slots: acpiphp pciehp
# log may: 0000:0[1-5]:0.\.0: .*(no space|failed to assign)|WARNING: .*pci_cfg_access_unlock — whether the rescan hits the reset is chance
# timeout: 600
# turn: 2
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
dirty_card 0000:05:00.0
for target in $sys/bus/pci/rescan $devices/0000:00:1c.0/rescan $sys/class/pci_bus/0000:01/rescan $devices/0000:00:1d.0/rescan; do
    for delay in 0 60 120 180 240 300 360 450; do
        dirty 0000:05:00.0
        start_hook run 101 pre-start
        usleep ${delay}000
        { echo 1 >$target; } 2>/dev/null || : # the port's own bus may be gone at that moment
        wait_hook run
        expect_exit 0
        expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
        expect_clean 0000:05:00.0
        expect_bars_assigned 0000:03:00.0
        expect_within 30000 # three machines at once; alone it is a few seconds
        # Not host_facts: a bridge that is scanned while it is reset may lose what its control register says of errors.
        expect_file_says $sys/bus/pci/drivers_autoprobe 1
        for bridge in 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0; do expect_driver $bridge pcieport; done
    done
done
