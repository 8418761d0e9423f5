# An unprivileged container, Proxmox's default: its root is user 100000 of the host. A devN belongs to its root and can be
# opened in it; a node that is mounted belongs to nobody there and cannot, which is said before the start. Both are found in
# it after the start, and one that goes away is missed.
# machine: two_slots
# lxc: yes
# core: yes
. /lab/containers.sh
pve_host
chmod 0660 /dev/dri/card0 /dev/dri/card1
ct_conf 901 <<'CONF'
hostname: plex
unprivileged: 1
dev0: /dev/dri/card0,gid=44
lxc.cgroup2.devices.allow: c 226:* rwm
lxc.mount.entry: /dev/dri/card1 dev/dri/card1 none bind,create=file
CONF
hook 901 pre-start
expect_exit 0
expect_output "'/dev/dri/card1' (lxc.mount.entry) belongs to nobody in the unprivileged container"
expect_no_output "'/dev/dri/card0' (dev0)"

start_ct 901 </dev/null
init=$(head -n 1 /sys/fs/cgroup/lxc/901/ns/cgroup.procs)
inside() { nsenter -t "$init" -U -m -S 0 -G 0 -- /bin/busybox "$@"; }
expect_equal "the container's root on the host" 100000 "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$init/status")"
expect_equal "whose devN is" '0 0' "$(inside stat -c '%u %g' /dev/dri/card0)"
expect_equal "whose the mounted node is" '65534 65534' "$(inside stat -c '%u %g' /dev/dri/card1)"
opens() { inside sh -c ": <>$1" 2>"$lab_run/opens"; }
opens /dev/dri/card0 || fail "its root cannot open its devN: $(cat "$lab_run/opens")"
! opens /dev/dri/card1 || fail "its root can open what belongs to nobody"

hook 901 post-start
expect_exit 0
expect_no_output 'restart the container'
expect_no_output 'cannot inspect the container'
expect_file_says /run/pve-gpu-hook/901.json '"outcome": "nothing-to-do"'

inside umount /dev/dri/card0 || fail "the container's /dev cannot be changed"
hook 901 post-start
expect_exit 0
expect_output "'/dev/dri/card0' (dev0) is 226:0 on the host and missing in the container"
expect_output 'container: /dev has dri/card0 (no device), dri/card1 226:1'
stop_ct 901

# The rules of its control group hold for its root too.
ct_conf 902 <<'CONF'
hostname: jelly
unprivileged: 1
lxc.mount.entry: /dev/dri/card1 dev/dri/card1 none bind,create=file
CONF
chmod 0666 /dev/dri/card1
hook 902 pre-start
expect_exit 0
expect_no_output 'belongs to nobody'
expect_output "'/dev/dri/card1' (lxc.mount.entry) has the number 226:1 on this host now, and the container may not open it"
start_ct 902 </dev/null
init=$(head -n 1 /sys/fs/cgroup/lxc/902/ns/cgroup.procs)
# As a process of the container: a control group's rules are about who is in it.
in_its_group() { sh -c 'echo $$ >/sys/fs/cgroup/lxc/902/ns/cgroup.procs; exec nsenter -t '"$init"' -U -m -S 0 -G 0 -- sh -c ": <>/dev/dri/card1"' 2>"$lab_run/opens"; }
! in_its_group || fail "no rule allows the number, and it can be opened"
expect_file_says "$lab_run/opens" 'Operation not permitted'
stop_ct 902
