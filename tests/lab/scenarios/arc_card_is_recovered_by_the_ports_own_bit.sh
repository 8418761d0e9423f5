# The second order, for kernels without reset_subordinate: remove, reset by the port's Bridge Control register, rescan.
# machine: two_arcs
# slots: acpiphp pciehp
# core: yes
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
settings <<'JSON'
{ "reset_with": "bridge_control" }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0 0000:0a:00.0
remember 0000:08:00.0 0000:09:00.0 0000:0a:00.0
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0
expect_bars_assigned 0000:03:00.0
expect_present 0000:04:00.0 0000:05:00.0
expect_still_dirty 0000:0a:00.0
expect_untouched 0000:08:00.0 0000:09:00.0
expect_host_as_before
