# A remove that succeeds and does nothing: the hook looks afterwards and does not report success.
# turn: 2
# machine: arc
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
settings <<'JSON'
{ "timeouts": { "remove": 3 } }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
lying_writes /sys/bus/pci/devices/0000:03:00.0/remove
hook 101 pre-start
expect_no_waiting
expect_file_lacks /run/pve-gpu-hook/101.json '"recovered"'
expect_output 0000:03:00.0
expect_equal drivers_autoprobe 1 "$(cat $sys/bus/pci/drivers_autoprobe)"
