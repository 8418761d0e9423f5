# What 'pve-gpu-install start --incus' is for: a VM of a real Incus gets its card clean at each start, whatever its last one has left in
# it, and sees the GPU and the audio of the second bus. A bare start afterwards gets it as it is.
# machine: arc
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 600
# turn: 4
. /lab/incus_start.sh
incus_vm web "$web_devices"
rounds="1 2 3 4 5 6 7 8 9 10"
[ -z "$(cat /lab/landing)" ] || rounds="1 2" # it is minutes under emulation
for round in $rounds; do
    say "round $round"
    clean_start web
    vm_says web ready
    expect_guest_sees web "1234:1111 class 0380"
    expect_guest_sees web "8086:2668 class 0403"
    [ "$round" != 1 ] || installer again start --incus web
    [ "$round" != 1 ] || expect_installer 1
    [ "$round" != 1 ] || expect_file_says "$lab_run/again.said" "VM 'web' is not stopped (Running); stop it first, 'incus stop web'"
    incus_stop web || fail "the VM does not stop: $incus_error"
    rm -f "$vm_directory/web.said"
done

installer try try --incus web
expect_installer 0
expect_whole web
installer status status
expect_file_says "$lab_run/status.said" "Incus 6.0.4"
expect_file_says "$lab_run/status.said" "VM 'web'"

say "a bare start recovers nothing"
dirty "$usb"
incus_start web || fail "the VM does not start: $incus_error"
expect_still_dirty "$usb"
installer bare check --incus web --json
expect_file_says "$lab_run/bare.said" "its card was not recovered"

say "its QEMU is killed"
is_stopped() { incus_api GET /1.0/instances/web | grep -q '"status":"Stopped"'; }
kill -9 "$(cat /run/incus/web/qemu.pid)"
wait_until 60 is_stopped || fail "Incus does not see that it has ended"
clean_start web
installer ours status
expect_file_lacks "$lab_run/ours.said" "not started by us"
incus_stop web || fail "the VM does not stop: $incus_error"
