# The strategy "remove-rescan" does without the reset: the GPU is on vfio-pci, and the witness keeps its mark.
# machine: arc
pve_host
settings <<'JSON'
{ "strategy": "remove-rescan" }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
dirty_card 0000:05:00.0
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
expect_bars_assigned 0000:03:00.0
expect_still_dirty 0000:05:00.0
expect_host_as_before
