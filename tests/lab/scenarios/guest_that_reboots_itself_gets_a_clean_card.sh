# A guest that reboots itself, and the UI's Reset, end in a new start by Proxmox's own request, with a clean card; what a
# guest switches off stays off. And the reader's unit is as tight as it says.
# machine: arc
# load: kvm-amd
# systemd: yes
# kernels: 6.12
# timeout: 900
# core: yes
. /lab/reboots.sh
reboot_host
usb=0000:05:00.0
card_conf 101 0000:03:00.0 0000:04:00.0 "$usb"
dirty "$usb"
first_start 101 armed
sed 's/^/    | /' "$vm_directory/101.said"
expect_clean_starts 101

say "the guest reboots itself"
pid=$(vm_pid 101)
dirty "$usb"
vm_do 101 r
guest_says 101 ready 2
expect_vm 101 running 2
expect_clean_starts 101
expect_journal 101 "the guest has rebooted by itself: Proxmox starts it anew"
[ "$pid" != "$(vm_pid 101)" ] || fail "it is the same QEMU"
expect_reader 101 armed

say "the UI's Reset"
dirty "$usb"
qm reset 101
guest_says 101 ready 3
expect_vm 101 running 3
expect_clean_starts 101
expect_reader 101 armed

expect_equal "restarts that are counted" 2 "$(wc -l <"/run/pve-gpu-hook/reboots/101")"

say "the guest switches itself off"
dirty "$usb"
vm_do 101 p
expect_off 101 3 3
expect_still_dirty "$usb"
reader_has_ended() { [ "$(systemctl is-active pve-gpu-hook-events@101)" = inactive ]; }
wait_until 20 reader_has_ended || fail "the reader is '$(systemctl is-active pve-gpu-hook-events@101)'"

say "the units"
for unit in /usr/lib/systemd/system/pve-gpu-hook*; do
    case $unit in *@.service) unit=${unit%.service}101.service ;; esac
    systemd-analyze verify --man=no "$unit" >"$lab_run/verify" 2>&1 || fail "systemd-analyze verify: $(cat "$lab_run/verify")"
    [ ! -s "$lab_run/verify" ] || fail "systemd-analyze verify: $(cat "$lab_run/verify")"
done
systemd-analyze security --no-pager pve-gpu-hook-events@101.service | tail -n 1
