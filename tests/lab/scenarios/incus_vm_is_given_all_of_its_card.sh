# 'pve-gpu-install --incus' on a host with Incus and without Proxmox: the VM, which has the GPU alone, is given the audio of the second bus,
# and its guest sees it; at boot the unit starts it with a clean card. 'detach' and 'uninstall' give it back what it had, to the letter.
# machine: arc
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 600
# turn: 4
. /lab/incus_start.sh
# What would take minutes here; the tests in Debian's trees run the real ones.
printf '#!/bin/sh\necho "$@" >>/lab/run/initramfs\n' >/usr/sbin/update-initramfs
chmod 755 /usr/sbin/update-initramfs
incus_vm web '"gpu": {"type": "gpu", "gputype": "physical", "vendorid": "1234"}'
# As a VM that ran when its host went down.
incus_start web || fail "it does not start: $incus_error"
incus_stop web || fail "it does not stop: $incus_error"
incus_do PATCH /1.0/instances/web '{"config": {"boot.autostart": "true"}}' || fail "it cannot be changed: $incus_error"
# But for what changes with each start.
facts() { incus_api GET "/1.0/instances/$1" | sed 's/"volatile[^"]*":"[^"]*",\{0,1\}//g; s/"last_used_at":"[^"]*"//'; }
facts web >"$lab_run/before"

installer install --incus web --yes
[ "$installer_status" = 0 ] || [ "$installer_status" = 3 ] || fail "it ends with $installer_status"
incus_api GET /1.0/instances/web >"$lab_run/instance"
expect_file_says "$lab_run/instance" '"pci-04-00-0":{"address":"0000:04:00.0","type":"pci"}'
expect_file_says "$lab_run/instance" '"pci":"0000:03:00.0"'
expect_file_lacks "$lab_run/instance" '"vendorid"'
expect_file_says "$lab_run/instance" '"boot.autostart":"false"'
expect_file_says /etc/udev/rules.d/10-pve-gpu-hook.rules 0000:04:00.0
expect_file_exists "/etc/systemd/system/multi-user.target.wants/pve-gpu-incus@web.service"

say "as at boot"
dirty "$usb"
systemctl daemon-reload
systemctl start pve-gpu-incus@web || fail "the unit does not start it: $(journalctl -q --no-pager -o cat -u pve-gpu-incus@web)"
expect_incus_status web Running
vm_says web ready
expect_clean_in web
expect_guest_sees web "1234:1111 class 0380"
expect_guest_sees web "8086:2668 class 0403"
expect_guest_sees web "1b36:000d class 0c03" # the card's USB controller is part of it, too
installer verify verify --incus web
expect_file_says "$lab_run/verify.said" "agent isn't currently running"
installer check check --incus web
expect_file_says "$lab_run/check.said" "incus.bare-start"

installer running detach --incus web --yes
expect_installer 1
expect_file_says "$lab_run/running.said" "VM 'web' is not stopped, and would lose devices while it runs"
systemctl stop pve-gpu-incus@web
incus_stop web || fail "it does not stop: $incus_error"
installer detach detach --incus web --yes
expect_installer 0
facts web >"$lab_run/after"
cmp -s "$lab_run/before" "$lab_run/after" || fail "the VM is not as before: $(cat "$lab_run/before" "$lab_run/after")"
expect_no_file "/etc/systemd/system/multi-user.target.wants/pve-gpu-incus@web.service"

installer again --incus web --yes
installer uninstall uninstall --yes
expect_installer 0
facts web >"$lab_run/after"
cmp -s "$lab_run/before" "$lab_run/after" || fail "the VM is not as before: $(cat "$lab_run/before" "$lab_run/after")"
expect_no_file /etc/udev/rules.d/10-pve-gpu-hook.rules
expect_no_file /var/lib/pve-gpu-hook
