# Numbers that are hard-coded and wrong: before the start, because nothing allows the node's number; after it, because the
# container's node has another number than the host's. What a container plants in its /dev leads nowhere.
# machine: slot
# lxc: yes
. /lab/containers.sh
pve_host
ct_conf 901 <<'CONF'
hostname: plex
lxc.cgroup2.devices.allow: c 511:* rwm
lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind,create=file
CONF
hook 901 pre-start
expect_exit 0
expect_output "'/dev/dri/card0' (lxc.mount.entry) has the number 226:0 on this host now"
expect_output "'c 511:* rwm' (line 2)"

# The node of an earlier boot, mounted over it by hand.
mknod /lab/run/old c 226 7
start_ct 901 <<'CONF'
lxc.mount.entry = /lab/run/old dev/dri/card0 none bind 0 0
CONF
hook 901 post-start
expect_exit 0
expect_output "'/dev/dri/card0' (lxc.mount.entry) is 226:0 on the host and 226:7 in the container"
expect_output "container: /dev has dri/card0 226:7"

# A link out of the container, and a FIFO on which an open would hang.
init=$(cat /sys/fs/cgroup/lxc/901/ns/cgroup.procs | head -n 1)
nsenter -t "$init" -m -- sh -c 'umount /dev/dri/card0; umount /dev/dri/card0; rm -rf /dev/dri; ln -s /proc/1/root/dev/dri /dev/dri; mkfifo /dev/nvidia0' ||
    fail "the container's /dev cannot be changed"
hook 901 post-start
expect_exit 0
expect_within 10000
expect_output "is 226:0 on the host and missing in the container"
expect_output "container: /dev has nvidia0 (no device)"
stop_ct 901
