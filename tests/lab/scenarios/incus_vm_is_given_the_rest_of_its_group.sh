# All of the card's IOMMU group goes to a VM of Incus: the slot by its GPU, and a disk of the host's by an address of its own, for QEMU
# opens no group of which the host has a part. While the disk is mounted the installation is refused.
# machine: nvme_in_group
# incus: yes
# installer: yes
# kernels: 6.12
# timeout: 600
# turn: 8
# load: nvme
. /lab/incus_start.sh
printf '#!/bin/sh\n:\n' >/usr/sbin/update-initramfs
chmod 755 /usr/sbin/update-initramfs
incus_vm web '"gpu": {"type": "gpu", "gputype": "physical", "pci": "0000:03:00.0"}'

say "the disk is mounted"
mke2fs -F /dev/nvme0n1 >/dev/null 2>&1
mkdir -p /srv/disk
mount -t ext4 /dev/nvme0n1 /srv/disk
installer mounted install --incus web --yes
expect_installer 1
expect_file_says "$lab_run/mounted.said" "'0000:04:00.0'"
expect_file_says "$lab_run/mounted.said" "shares an IOMMU group with the card of VM 'web' and would have to go to it, but is in use by 'nvme0n1' mounted on '/srv/disk'"
umount /srv/disk

say "and free"
installer install --incus web --yes
incus_api GET /1.0/instances/web >"$lab_run/instance"
expect_file_says "$lab_run/instance" '"pci-04-00-0":{"address":"0000:04:00.0","type":"pci"}'
installer start start --incus web
expect_installer 0
vm_says web ready
expect_guest_sees web "1234:1111 class 0380"
expect_guest_sees web "8086:2668 class 0403"
expect_guest_sees web "1b36:0010 class 0108"
incus_stop web || fail "it does not stop: $incus_error"
