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

# What Proxmox's own hooks make of a container's devN lines (lxc-pve-prestart-hook, lxc-pve-autodev-hook): nodes of the
# container's root on a file system of their own, and files in its /dev over which they are mounted.
make_passthrough() {
    local vmid=$1 owner=$2 directory=/var/lib/lxc/$1/passthrough path major minor
    mkdir -p "$directory"
    mount -t tmpfs -o size=8k none "$directory"
    echo '#!/bin/sh' >"/var/lib/lxc/$vmid/autodev"
    sed -n 's/^dev[0-9]*: *\([^,]*\).*/\1/p' "/etc/pve/lxc/$vmid.conf" | while read -r path; do
        major=$((0x$(stat -L -c %t "$path"))) minor=$((0x$(stat -L -c %T "$path")))
        mkdir -p "$directory${path%/*}"
        mknod -m 0660 "$directory$path" c "$major" "$minor"
        chown "$owner:$owner" "$directory$path"
        echo "lxc.cgroup2.devices.allow = c $major:$minor rw"
        {
            echo "mkdir -p \"\$LXC_ROOTFS_MOUNT${path%/*}\" || exit 1"
            echo ": >\"\$LXC_ROOTFS_MOUNT$path\" || exit 1"
            echo "mount --bind $directory$path \"\$LXC_ROOTFS_MOUNT$path\" || exit 1"
        } >>"/var/lib/lxc/$vmid/autodev"
    done
    chmod +x "/var/lib/lxc/$vmid/autodev"
    echo "lxc.hook.autodev = /var/lib/lxc/$vmid/autodev"
}

# start_ct VMID   the lxc.* lines of its configuration, with the control groups that Proxmox names (update_lxc_config); what
# is read from standard input comes on top. Its first process says "ready" when it has its /dev.
start_ct() {
    local vmid=$1 root=/var/lib/lxc/$1/rootfs owner=0 net=none
    local each
    ! grep -q '^unprivileged: 1' "/etc/pve/lxc/$vmid.conf" || owner=100000 net=empty # a sysfs shows a network of the same owner
    for each in bin dev proc sys run tmp usr/lib; do mkdir -p "$root/$each"; done
    cp /bin/busybox "$root/bin/busybox"
    ln -sf busybox "$root/bin/sh"
    cat >"$root/init" <<'INIT'
#!/bin/sh
echo ready
exec /bin/busybox sleep 100000
INIT
    chmod +x "$root/init"
    chown -R "$owner:$owner" "$root"
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
lxc.net.0.type = $net
lxc.init.cmd = /init
CONFIG
        # Proxmox's own map of such a container, unless its configuration has another.
        [ "$owner" = 0 ] || printf 'lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n'
        ! grep -q '^dev[0-9]' "/etc/pve/lxc/$vmid.conf" || make_passthrough "$vmid" "$owner"
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
