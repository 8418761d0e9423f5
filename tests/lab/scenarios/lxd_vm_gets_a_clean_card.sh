# The same by LXD 5.0: given all of the card, started clean twice by our command, found by its QEMU, and undone.
# machine: arc
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 600
# turn: 8
. /lab/incus_start.sh
printf '#!/bin/sh\n:\n' >/usr/sbin/update-initramfs
chmod 755 /usr/sbin/update-initramfs
use_lxd
incus_vm web '"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:03:00.0"}'
facts() { incus_api GET "/1.0/instances/$1" | sed 's/"volatile[^"]*":"[^"]*",\{0,1\}//g; s/"last_used_at":"[^"]*"//'; }
facts web >"$lab_run/before"
installer install --incus web --yes
# All of the card is in the VM: what its USB controller keeps is seen in there.
for round in 1 2; do
    [ "$round" != 1 ] || dirty "$usb" # later vfio-pci lets it sleep
    rm -f "$vm_directory/web.said"
    installer start start --incus web
    expect_installer 0
    expect_incus_status web Running
    expect_open "$gpu"
    vm_says web ready
    expect_guest_sees web "8086:2668 class 0403"
    expect_clean_in web
    [ "$round" = 2 ] || incus_stop web || fail "it does not stop: $incus_error"
done
installer status status
expect_file_says "$lab_run/status.said" "LXD 5.0.2"
incus_stop web || fail "it does not stop: $incus_error"
installer detach detach --incus web --yes
expect_installer 0
facts web >"$lab_run/after"
cmp -s "$lab_run/before" "$lab_run/after" || fail "the VM is not as before: $(cat "$lab_run/before" "$lab_run/after")"
