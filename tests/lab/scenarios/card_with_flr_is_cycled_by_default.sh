# A card whose GPU has a function-level reset is cycled by default, and left to Proxmox under "auto".
# machine: flr
# slots: acpiphp pciehp
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00
CONF
dirty_card 0000:01:00.2
expect_file_says $devices/0000:01:00.0/reset_method flr
settings <<'JSON'
{ "strategy": "auto" }
JSON
hook 101 pre-start
expect_exit 0
expect_still_dirty 0000:01:00.2

settings <<'JSON'
{ "strategy": "cycle" }
JSON
hook 101 pre-start
expect_exit 0
expect_clean 0000:01:00.2
expect_bound_to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
expect_host_as_before
