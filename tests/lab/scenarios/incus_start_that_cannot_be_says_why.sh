# What a real Incus and its clients do beside 'pve-gpu-install start --incus': two of it at once, another VM that has the card, a bare
# start while the devices are out, a daemon that is stopped or gone, a QEMU that stands still. Nobody hangs, and each is told.
# machine: two_arcs
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 600
# turn: 4
. /lab/incus_start.sh
incus_vm web "$web_devices"
incus_vm other "$web_devices"
incus_vm second '"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:08:00.0"}'
said() { expect_file_says "$lab_run/$1.said" "$2"; }

say "two VMs on two cards at once, and one of them twice"
installer_of() { /usr/sbin/pve-gpu-install start --incus "$1" >"$lab_run/$2.said" 2>&1 </dev/null; echo $? >"$lab_run/$2.status"; }
installer_of web one &
one=$!
installer_of second two &
two=$!
installer_of web three || :
wait $one $two || :
for each in one two three; do sed "s/^/    $each | /" "$lab_run/$each.said"; done
expect_equal "the end of the start of 'second'" 0 "$(cat "$lab_run/two.status")"
expect_equal "how many starts of 'web' ended well" 1 "$(cat "$lab_run/one.status" "$lab_run/three.status" | grep -c '^0$')"
cat "$lab_run/one.said" "$lab_run/three.said" >"$lab_run/both.said"
said both "another pve-gpu-install is at work for VM 'web'; wait until it has ended"
expect_incus_status web Running
expect_incus_status second Running
expect_open "$gpu"
expect_open 0000:08:00.0

say "a card that another VM has is not waited for in the kernel"
installer other start --incus other
expect_installer 1
said other "'0000:03:00.0' is in use by VM 'web' (pid"
expect_incus_status web Running
expect_open "$gpu"

say "a QEMU that stands still"
qemu=$(cat /run/incus/second/qemu.pid)
kill -STOP "$qemu"
installer still start --incus second
expect_installer 1
said still "VM 'second' cannot be looked at: its QEMU does not answer Incus"
installer status status
expect_installer 0
said status "VM 'second', whose QEMU does not answer"
kill -CONT "$qemu"

say "a bare start while the devices are out"
incus_stop web || fail "it does not stop: $incus_error"
fifo=$lab_run/blocked
mkfifo "$fifo"
file=/sys/bus/pci/drivers_autoprobe
mount --bind "$fifo" $file
/usr/sbin/pve-gpu-install start --incus web >"$lab_run/beside.said" 2>&1 </dev/null &
started=$!
is_out() { incus_api GET /1.0/instances/web >"$lab_run/instance" && ! grep -q '"address":"04:00.0"' "$lab_run/instance"; }
wait_until 60 is_out || fail "the devices stay in the VM"
incus_start web || fail "it does not start bare: $incus_error"
umount -l $file # who waits there is let go into nothing, and who comes later finds the kernel's own file
cat "$fifo" >/dev/null &
! wait $started || fail "the start went well without a card"
sed 's/^/    | /' "$lab_run/beside.said"
said beside "VM 'web' runs, so that its devices 'audio', 'gpu' cannot be put back into it; stop it ('incus stop web')"
installer status status
said status "open start: VM 'web' is without its devices"
incus_stop web || fail "it does not stop: $incus_error"
clean_start web
incus_stop web || fail "it does not stop: $incus_error"

say "a container of Incus that has the card open"
incus_do POST /1.0/instances '{"name": "box", "type": "container", "source": {"type": "none"}, "config": {"security.privileged": "true"},
    "devices": {"root": {"type": "disk", "pool": "default", "path": "/"}}}' || fail "there is no container: $incus_error"
inside=/var/lib/incus/storage-pools/default/containers/box/rootfs
mkdir -p $inside/bin $inside/sbin $inside/dev $inside/proc $inside/sys $inside/etc $inside/tmp $inside/run
cp /lab/bin/busybox $inside/bin/sh
printf '#!/bin/sh\nwhile sleep 1000; do :; done\n' >$inside/sbin/init
chmod 755 $inside/sbin/init
incus_start box || fail "the container does not start: $incus_error"
init=$(incus_api GET /1.0/instances/box/state | grep -o '"pid":[0-9]*' | head -n 1 | cut -d : -f 2)
hold_vfio "$gpu"
holder_pid "$gpu" >/sys/fs/cgroup"$(sed -n 's/^0:://p' "/proc/$init/cgroup")"/cgroup.procs
installer box start --incus web
expect_installer 1
said box "'0000:03:00.0' is in use by container 'box' (pid $(holder_pid "$gpu"), lab-hold)"
release "$gpu"

say "no daemon"
systemctl stop incus.socket incus.service
installer gone start --incus web
expect_installer 1
said gone "Incus is not running"
said gone "systemctl status incus"
