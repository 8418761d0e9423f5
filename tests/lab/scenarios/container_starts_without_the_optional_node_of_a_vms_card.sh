# A VM has the card that was card0 when the container was made; the host's own is card1. The line of the other card's node is
# optional, so the container starts with the one that is there. A line that names the VM's card by its address, and is not
# optional, cannot be right.
# machine: two_slots
# lxc: yes
. /lab/containers.sh
pve_host
[ -c /dev/dri/card1 ] || fail "the second card has no node"
to_vfio 0000:01:00.0 0000:01:00.1 0000:01:00.2
hold_vfio 0000:01:00.0
holder_pid 0000:01:00.0 >/run/qemu-server/101.pid
[ ! -e /dev/dri/card0 ] || fail "the VM's card still has its node"
ct_conf 901 <<'CONF'
hostname: plex
lxc.cgroup2.devices.allow: c 226:* rwm
lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind,optional,create=file
lxc.mount.entry: /dev/dri/card1 dev/dri/card1 none bind,create=file
CONF
hook 901 pre-start
expect_exit 0
expect_within 10000
expect_output "'/dev/dri/card0' (lxc.mount.entry) is not there; it may be a device node of the GPU '0000:01:00.0', which is in use by VM 101"
expect_output "stop it first, or take the line out of the container" # the node that is there, another line names already
start_ct 901 </dev/null
hook 901 post-start
expect_exit 0
stop_ct 901

echo 'lxc.mount.entry: /dev/dri/by-path/pci-0000:01:00.0-card dev/dri/card7 none bind,create=file' >>/etc/pve/lxc/901.conf
hook 901 pre-start
expect_exit 1
expect_output "cannot be there: the GPU '0000:01:00.0' is in use by VM 101"
expect_open 0000:01:00.0
