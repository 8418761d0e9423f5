# The GPU does not come back from any rescan: the start fails with its name, within the deadlines, and the host is as before.
# turn: 2
# machine: arc
# log: 0000:0[1-5]:0.\.0: .*(no space|failed to assign) — the whole card is removed: the kernel first looks for room in its port's windows, then gives the port larger ones
pve_host
settings <<'JSON'
{ "timeouts": { "reappear": 2 }, "on_timeout": "fail" }
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
for bus in 00 01 02 03; do lying_writes /sys/class/pci_bus/0000:$bus/rescan; done
for bridge in 0000:00:1c.0 0000:01:00.0 0000:02:01.0; do lying_writes /sys/bus/pci/devices/$bridge/rescan; done
hook 101 pre-start
expect_exit 1
expect_no_waiting
expect_within 60000
expect_output 0000:03:00.0
expect_absent 0000:03:00.0
expect_file_lacks /run/pve-gpu-hook/101.json '"recovered"'
expect_equal drivers_autoprobe 1 "$(cat $sys/bus/pci/drivers_autoprobe)"

# Whoever repairs the host by hand can start the VM.
for bus in 00 01 02 03; do real_writes /sys/class/pci_bus/0000:$bus/rescan; done
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0
