# A backup starts a stopped VM, paused, with all its hostpci devices (the config says `lock: backup`): while another VM runs
# with the card that start is refused, and neither it nor its clean-up touches the card. When the card is free the same
# backup gets it, and gives it back.
# turn: 2
# machine: arc
pve_host
settings <<'JSON'
{ "after_stop": "native" }
JSON
for vmid in 101 102; do
    conf $vmid <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
done
echo "lock: backup" >>/etc/pve/qemu-server/102.conf

hook 101 pre-start
expect_exit 0
hold_vfio 0000:03:00.0
holder_pid 0000:03:00.0 >/run/qemu-server/101.pid
hook 101 post-start
expect_exit 0

dirty 0000:05:00.0
remember 0000:03:00.0 0000:04:00.0 0000:05:00.0
hook 102 pre-start
expect_exit 1
expect_output "VM 101"
hook 102 post-stop
expect_exit 0
expect_untouched 0000:03:00.0 0000:04:00.0 0000:05:00.0
expect_open 0000:03:00.0
expect_still_dirty 0000:05:00.0

hook 101 pre-stop
release 0000:03:00.0
rm /run/qemu-server/101.pid
hook 101 post-stop
expect_exit 0
expect_driver 0000:03:00.0 bochs-drm
dirty 0000:05:00.0
hook 102 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
hold_vfio 0000:03:00.0
hook 102 post-start
hook 102 pre-stop
release 0000:03:00.0
hook 102 post-stop
expect_exit 0
expect_driver 0000:03:00.0 bochs-drm
expect_driver 0000:04:00.0 snd_hda_intel
expect_host_as_before
