# Sourced by what runs in a tree of tests/debian-tree: makes it look like a Proxmox host. Real are initramfs-tools, kmod, udev, GRUB's
# update-grub with all of /etc/grub.d, a stock kernel and its modules. Standing in: qm, pct and grub-probe (tests/stand-ins, a tree has no
# cluster and no disk); /sys is a captured machine (tests/machines); of /proc the files that are given to `pretend` are what a Proxmox
# host says there. Who sources it says where the tests are ($src), and a directory for what is only needed meanwhile ($work).

kernel=$(cd /lib/modules && echo *)
node=${node:-pve1} # its name in the cluster

install_stand_ins() {
    install -m 755 $src/stand-ins/qm /usr/sbin/
    ln -sf qm /usr/sbin/pct
    mv /usr/sbin/grub-probe /usr/sbin/grub-probe.real
    install -m 755 $src/stand-ins/grub-probe /usr/sbin/
    install -m 644 /usr/share/grub/default/grub /etc/default/grub
    mkdir -p /boot/grub /etc/modules-load.d $work/deb/DEBIAN
    printf 'Package: pve-manager\nVersion: 8.4.1\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: stands in\n' \
        >$work/deb/DEBIAN/control
    dpkg-deb -b $work/deb $work/pve-manager.deb >/dev/null
    dpkg -i $work/pve-manager.deb >/dev/null
    rm -r $work/deb $work/pve-manager.deb
}

make_boot_files() {
    printf 'COMPRESS=zstd\nCOMPRESSLEVEL=1\n' >/etc/initramfs-tools/conf.d/tests
    # A small initramfs: it is built again and again.
    echo MODULES=list >>/etc/initramfs-tools/conf.d/tests
    update-grub >/dev/null 2>&1
    update-initramfs -u -k all >/dev/null 2>&1
}

pretend() { # PATH TEXT: what a file of /proc says
    mkdir -p "$work/proc"
    local file=$work/proc/${1//\//_}
    if [[ -e $file ]]; then printf '%b' "$2" >"$file"; return; fi
    printf '%b' "$2" >"$file"
    mount --bind "$file" "$1"
}

machine() { # NAME CONFIG_LINES: the machine in /sys, with VM 101
    umount /sys 2>/dev/null || :
    mount -t tmpfs tmpfs /sys
    $src/tree/unpack-machine "" <"$src/machines/$1.machine"
    pretend /proc/sys/kernel/osrelease "$kernel\n"
    pretend /proc/sys/kernel/hostname "$node\n"
    pretend /proc/cpuinfo "processor\t: 0\nvendor_id\t: GenuineIntel\n"
    pretend /proc/cmdline "BOOT_IMAGE=/boot/vmlinuz-$kernel root=/dev/mapper/pve-root ro quiet\n"
    rm -rf /etc/pve
    mkdir -p /etc/pve/nodes/$node/qemu-server /etc/pve/nodes/$node/lxc /var/lib/vz
    ln -s nodes/$node/qemu-server /etc/pve/qemu-server
    ln -s nodes/$node/lxc /etc/pve/lxc
    for file in /etc/subuid /etc/subgid; do # as every Proxmox host has it: what unprivileged containers map
        grep -qs '^root:100000:' $file || echo root:100000:65536 >>$file
    done
    printf 'dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup\n\nlvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n' \
        >/etc/pve/storage.cfg
    printf '#a note\nboot: order=scsi0\n%bname: media\n' "$2" >/etc/pve/qemu-server/101.conf
    chmod 640 /etc/pve/qemu-server/101.conf
    printf '{\n"version": 4,\n"ids": {\n"101": { "node": "pve1", "type": "qemu", "version": 3 }}\n}\n' >/etc/pve/.vmlist
    printf '{\n"nodename": "%s",\n"version": 0\n}\n' "$node" >/etc/pve/.members
}

# Everything that the installer could have touched: kind, mode, owner, name, link, content. Left out: the initramfs, which is never
# the same bytes twice (it is unpacked and looked at instead), update-initramfs' own note of its checksum, and the lock below /run.
state() {
    find /etc /boot /root /usr/sbin /usr/lib/udev /usr/share/initramfs-tools /var/lib /run -xdev \
        ! -path '/boot/initrd.img-*' ! -path '/var/lib/initramfs-tools/*' ! -path '/var/lib/esp/*' ! -path '/run/pve-gpu-hook*' \
        -printf '%y %m %U:%G %p %l\n' | sort >"$1"
    find /etc /boot /root /usr/sbin /var/lib -xdev -type f \
        ! -path '/boot/initrd.img-*' ! -path '/var/lib/initramfs-tools/*' ! -path '/var/lib/esp/*' ! -path "/etc/resolv.conf" -print0 |
        sort -z | xargs -0 sha256sum >>"$1"
}
