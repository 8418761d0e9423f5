# The GPU fell off the bus before the start: it is looked for where it was, found, and recovered with its card.
# machine: arc
# slots: acpiphp pciehp
# core: yes
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
bars=$(assigned_bars 0000:03:00.0)
remove 0000:03:00.0
expect_absent 0000:03:00.0
hook 101 pre-start
expect_exit 0
expect_present 0000:03:00.0
expect_bound_to_vfio 0000:03:00.0
expect_equal "BARs of the GPU" "$bars" "$(assigned_bars 0000:03:00.0)"
expect_clean 0000:05:00.0
expect_host_as_before
