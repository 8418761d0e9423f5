# With after_stop "native" the card is reset once more when the guest has stopped, and is back on the drivers it had, with
# the ports' power settings as before; a later or second post-stop does nothing.
# machine: arc
# slots: acpiphp pciehp
# core: yes
pve_host
settings <<'JSON'
{ "after_stop": "native" } // comments are allowed
JSON
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
power() { for each in 0000:00:1c.0 0000:01:00.0 0000:02:01.0 0000:03:00.0; do cat $devices/$each/power/control $devices/$each/d3cold_allowed; done; }
echo auto >$devices/0000:00:1c.0/power/control
before=$(power)
expect_driver 0000:03:00.0 bochs-drm
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_equal "power/control of the port" on "$(cat $devices/0000:00:1c.0/power/control)"
hold_vfio 0000:03:00.0
hook 101 post-start
expect_exit 0
hook 101 pre-stop
expect_exit 0

# A post-stop while QEMU still has the card leaves it.
hook 101 post-stop
expect_exit 0
expect_open 0000:03:00.0
expect_driver 0000:03:00.0 vfio-pci

release 0000:03:00.0
dirty 0000:05:00.0
hook 101 post-stop
expect_exit 0
expect_driver 0000:03:00.0 bochs-drm
expect_driver 0000:04:00.0 snd_hda_intel
expect_equal "driver_override" "(null)" "$(cat $devices/0000:03:00.0/driver_override)"
expect_clean 0000:05:00.0
expect_equal "power settings" "$before" "$(power)"
expect_host_as_before

remember 0000:03:00.0 0000:04:00.0
hook 101 post-stop
expect_exit 0
expect_untouched 0000:03:00.0 0000:04:00.0
