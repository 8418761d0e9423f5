# Somebody has removed the whole card and found it again, twice: this kernel then has no room for the GPU's memory, and no rescan helps. The hook
# removes the port above it, too, and the card has its memory again, now and at the next start.
# turn: 2
# machine: arc_and_slot
# slots: acpiphp pciehp
# kernels: 6.12
# log: 0000:0[0-5]:..\..: .*(no space|failed to assign) — that is what this is about
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
unbind 0000:03:00.0 0000:04:00.0
remember 0000:06:00.0
for time in first second; do
    remove 0000:01:00.0
    rescan 0000:01
    say "the $time time: $(assigned_bars 0000:03:00.0 | wc -l) BARs"
done
remove 0000:01:00.0
echo 1 >$sys/bus/pci/rescan
! has_bars 0000:03:00.0 || fail "the GPU has its memory: there is nothing to show"
hook 101 pre-start
expect_exit 0
expect_output "with the port above the card removed"
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_bars_assigned 0000:03:00.0
expect_bars_assigned 0000:05:00.0
expect_untouched 0000:06:00.0
for bridge in 0000:00:1c.0 0000:01:00.0 0000:02:01.0 0000:02:04.0 0000:02:05.0; do expect_driver $bridge pcieport; done
dirty 0000:05:00.0
hook 101 pre-start
expect_exit 0
expect_no_output "trying once more"
expect_clean 0000:05:00.0
expect_bars_assigned 0000:03:00.0
