# Containers, for scenarios with `# lxc: yes`: Debian's lxc started as Proxmox starts it. Sourced by those.

mkdir -p /sys/fs/cgroup
grep -q " /sys/fs/cgroup " /proc/mounts || mount -t cgroup2 cgroup2 /sys/fs/cgroup

# What the kernel would be asked by: modprobe by its alias. -b ALIAS; lab_modprobe_delay seconds later.
make_modprobe() {
    cat >/sbin/modprobe <<SCRIPT
#!/bin/sh
echo "\$@" >>$lab_run/modprobe
(sleep ${1:-0}; . /lab/lib.sh; load_module bochs) </dev/null >/dev/null 2>&1 &
SCRIPT
    chmod +x /sbin/modprobe
}

ct_conf() { cat >"/etc/pve/lxc/$1.conf"; }

ct_running() { grep -qs 'populated 1' "/sys/fs/cgroup/lxc/$1/cgroup.events" && grep -qs ready "$lab_run/ct.$1"; }

# start_ct VMID   the lxc.* lines of its configuration, with the control groups that Proxmox names (update_lxc_config); what
# is read from standard input comes on top. Its first process says "ready" when it has its /dev.
start_ct() {
    local vmid=$1 root=/var/lib/lxc/$1/rootfs
    local each
    for each in bin dev proc sys run tmp usr/lib; do mkdir -p "$root/$each"; done
    cp /bin/busybox "$root/bin/busybox"
    ln -sf busybox "$root/bin/sh"
    cat >"$root/init" <<'INIT'
#!/bin/sh
echo ready
exec /bin/busybox sleep 100000
INIT
    chmod +x "$root/init"
    {
        cat <<CONFIG
lxc.rootfs.path = dir:$root
lxc.uts.name = ct$vmid
lxc.cgroup.relative = 0
lxc.cgroup.dir.monitor = lxc.monitor/$vmid
lxc.cgroup.dir.container = lxc/$vmid
lxc.cgroup.dir.container.inner = ns
lxc.cgroup2.devices.deny = a
lxc.cgroup2.devices.allow = c *:* m
lxc.cgroup2.devices.allow = c 1:3 rwm
lxc.mount.auto = proc:mixed sys:mixed
lxc.apparmor.profile = unconfined
lxc.console.path = none
lxc.tty.max = 0
lxc.net.0.type = none
lxc.init.cmd = /init
CONFIG
        sed -n 's/^\(lxc\.[a-z0-9.]*\) *[:=] */\1 = /p' "/etc/pve/lxc/$vmid.conf"
        cat
    } >"/var/lib/lxc/$vmid/config"
    : >"$lab_run/ct.$vmid"
    lxc-start -F -n "$vmid" -f "/var/lib/lxc/$vmid/config" -o "$lab_run/ct.$vmid.log" -l INFO </dev/null >"$lab_run/ct.$vmid" 2>&1 &
    wait_until 60 ct_running "$vmid" || {
        fail "container $vmid does not start"
        cat "$lab_run/ct.$vmid"
        tail -n 40 "$lab_run/ct.$vmid.log"
        return 1
    }
}
stop_ct() { lxc-stop -k -n "$1"; wait_until 20 ct_ended "$1" || fail "container $1 does not end"; }
ct_ended() { ! grep -qs 'populated 1' "/sys/fs/cgroup/lxc/$1/cgroup.events"; }
