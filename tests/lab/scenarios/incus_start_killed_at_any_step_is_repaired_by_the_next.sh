# 'pve-gpu-install start --incus' is killed, with all of its children, wherever it can be: before and after the devices are out of the VM,
# in each of the recovery's writes, after the recovery, and while a real Incus starts the VM. The next start puts right what is left, and
# the VM has its devices and a clean card. A landing has two of the places, by turns.
# machine: arc
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 900
. /lab/incus_start.sh
incus_vm web "$web_devices"

fifo=$lab_run/blocked
mkfifo "$fifo"
note() { ls /var/lib/pve-gpu-hook/taken/*.json 2>/dev/null || :; }
is_out() { incus_api GET /1.0/instances/web >"$lab_run/instance" && ! grep -q '"address":"04:00.0"' "$lab_run/instance"; }
is_noted() { [ -n "$(note)" ]; }
# The list of operations has it while it runs.
is_starting() { incus_api GET '/1.0/operations?recursion=1' | grep -q "Starting instance"; }
# Installer and its children, which are in sessions of their own.
victims() { pidof pve-gpu-install; pidof pve-gpu-child || :; }
in_blocked_write() {
    for each in $(victims); do
        ! grep -qs fifo_open "/proc/$each/stack" "/proc/$each/wchan" || return 0
    done
    return 1
}
started_or_blocked() { in_blocked_write || ! kill -0 "$started" 2>/dev/null; }

begin() {
    /usr/sbin/pve-gpu-install start --incus web >"$lab_run/killed.said" 2>&1 </dev/null &
    started=$!
}
kill_it() {
    # shellcheck disable=SC2046 # several
    kill -9 $(victims) 2>/dev/null || :
    wait "$started" || :
    sed 's/^/    | /' "$lab_run/killed.said"
}
killed_when() {
    say "killed when it $1"
    begin
    wait_until 120 "$1" || fail "it never $1"
    kill_it
}
killed_in_write() {
    say "killed in its write to $1"
    mount --bind "$fifo" "$1"
    begin
    wait_until 120 started_or_blocked
    in_blocked_write || fail "it does not write there"
    is_out || fail "the devices are in the VM while its card is recovered"
    kill_it
    # shellcheck disable=SC2046
    kill -9 $(victims) 2>/dev/null || :
    umount -l "$1"
}
# Whatever was left: Incus may have been told to start it.
repaired() {
    while is_starting; do sleep 1; done
    incus_stop web >/dev/null 2>&1 || :
    clean_start web
    expect_host_as_before
    incus_stop web || fail "the VM does not stop: $incus_error"
}
places="note:is_noted note:is_out /sys/bus/pci/drivers/vfio-pci/unbind /sys/bus/pci/devices/0000:00:1c.0/reset_subordinate
    /sys/bus/pci/devices/0000:03:00.0/remove /sys/bus/pci/devices/0000:04:00.0/remove /sys/class/pci_bus/0000:03/rescan
    /sys/class/pci_bus/0000:04/rescan note:is_starting"
number=0 turn=$(cat /lab/turn)
for place in $places; do
    number=$((number + 1))
    [ -z "$(cat /lab/landing)" ] || [ $(((turn + number) % 4)) = 0 ] || continue
    to_vfio "$gpu" "$audio" 2>/dev/null || :
    case $place in
    note:*) killed_when "${place#note:}" ;;
    *) killed_in_write "$place" ;;
    esac
    repaired
done
installer status status
expect_file_lacks "$lab_run/status.said" "open start"
