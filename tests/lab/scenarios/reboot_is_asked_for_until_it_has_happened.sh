# Installed after a guest had its card in this boot, and while the host's driver was loaded first: what install has written counts from the next
# boot on, though vfio-pci has the card by now. The installer's status and check and the hook say so until the boot, also after a start in
# place of it, and none of them after it. Real are the drivers, their order and who has the card; a boot is played: /run is emptied, and the
# drivers are loaded in the order that the files say (tests/install-tree boots such files).
# machine: arc
# slots: acpiphp pciehp
# load-first: native
# installer: yes
# turn: 2
gpu=0000:03:00.0 audio=0000:04:00.0 usb=0000:05:00.0

# What a Proxmox host has, as far as the installer looks or writes.
pve_host
mkdir -p /var/lib/dpkg /var/lib/vz /var/lib /etc/default /etc/initramfs-tools /etc/modprobe.d /etc/modules-load.d /etc/kernel \
    /lib/modules/"$(uname -r)" /var/log
printf 'Package: pve-manager\nStatus: install ok installed\nVersion: 9.0.3\n\n' >/var/lib/dpkg/status
printf 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n' >/etc/default/grub
echo 1234-ABCD >/etc/kernel/proxmox-boot-uuids # its boot loader is GRUB, on partitions of their own
printf '# loaded at boot\n' >/etc/initramfs-tools/modules
# The lines of Debian's modules.alias for these devices.
printf 'alias pci:v00001234d00001111sv*sd*bc*sc*i* bochs\nalias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel\n' >/lib/modules/"$(uname -r)"/modules.alias
printf 'dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup\n' >/etc/pve/storage.cfg
printf '{\n"version": 1,\n"ids": {\n"101": { "node": "lab", "type": "qemu", "version": 1 }\n}\n}\n' >/etc/pve/.vmlist
printf '{\n"nodename": "lab",\n"version": 0\n}\n' >/etc/pve/.members
printf 'hostpci0: 0000:03:00.0\nhostpci1: 0000:04:00.0\n' | conf 101
# Proxmox's and Debian's programs: qm changes its file, the others succeed; what they would build is not looked at.
stand_in() { mkdir -p "${1%/*}" && { echo '#!/bin/sh'; cat; } >"$1" && chmod 755 "$1"; }
stand_in /usr/sbin/qm <<'QM'
conf=/etc/pve/qemu-server/$2.conf
case "$1 $3" in
"set --hookscript" | "set --args") sed -i "/^${3#--}:/d" $conf && sed -i "1i ${3#--}: $4" $conf ;;
"set --delete") sed -i "/^$4:/d" $conf ;;
*) exit 255 ;;
esac
QM
for program in pvesm pct; do echo 'exit 0' | stand_in /usr/sbin/$program; done
for program in update-initramfs update-grub proxmox-boot-tool; do echo 'exit 0' | stand_in /usr/sbin/$program; done
for program in udevadm systemctl; do echo 'exit 0' | stand_in /usr/bin/$program; done

installer() {
    lab_installer=0
    pve-gpu-install "$@" >$lab_run/installer.said 2>&1 </dev/null || lab_installer=$?
    say "pve-gpu-install $* (exit $lab_installer)"
    sed 's/^/    | /' $lab_run/installer.said | cut -c1-200 | grep -iE 'reboot|Done|Nothing|rror' || :
}
# first_loaded   vfio_pci or bochs, as the kernel has it: the last line is the module that was loaded first
first_loaded() { sed -n 's/^\(vfio_pci\|bochs\) .*/\1/p' /proc/modules | tail -n 1; }
# expect_a_reboot_is_asked_for WHEN
expect_a_reboot_is_asked_for() {
    installer status
    grep -q "reboot needed: the host's driver 'bochs' was loaded before vfio-pci" $lab_run/installer.said || fail "status says nothing of a reboot $1"
    installer check --vm 101
    grep -qx "  host  host.reboot" $lab_run/installer.said || fail "check does not warn of the reboot $1"
    installer --vm 101 --yes
    expect_file_says $lab_run/installer.said "Nothing to change"
    expect_equal "the end of a second installation $1 (3: a reboot is needed)" 3 $lab_installer
}

expect_equal "loaded first" bochs "$(first_loaded)"
expect_driver $gpu bochs-drm
say "a guest has its card, before anything is installed"
proxmox_binds $gpu $audio
hold_vfio $gpu
release $gpu
expect_bound_to_vfio $gpu $audio

installer --vm 101 --yes
expect_equal "the installer's end (3: a reboot is needed)" 3 $lab_installer
expect_file_says $lab_run/installer.said "1. reboot: "
expect_file_says /etc/pve/qemu-server/101.conf hookscript
expect_a_reboot_is_asked_for "after the installation"

for start in first second; do
    say "the $start start in place of the reboot"
    hook 101 pre-start
    expect_exit 0
    expect_bound_to_vfio $gpu $audio
    # 7.2 lets nothing bind while the card is found again (hold_autoprobe): the host's driver does not come first, and the hook has nothing to say.
    case $(lab_kernel_series) in
    7.2) expect_no_output "bound '$gpu' first" ;;
    *) expect_output "'bochs-drm' bound '$gpu' first and was unbound again; reboot the host" ;;
    esac
    hook 101 post-stop
    expect_exit 0
    expect_a_reboot_is_asked_for "after the $start start"
done

say "the reboot"
# by_the_files MODULE   as modprobe loads it: what its softdep names first, and with its options
by_the_files() {
    local each file name options
    [ $1 != vfio ] || return 0 # vfio-pci brings it along
    for each in $(sed -n "s/^softdep $1 pre: //p" /etc/modprobe.d/*.conf); do by_the_files $each; done
    while read -r file; do
        name=$(basename $file .ko | tr - _) options=
        [ $name != "$(echo $1 | tr - _)" ] || options=$(sed -n "s/^options $1 //p" /etc/modprobe.d/*.conf)
        # shellcheck disable=SC2086 # options are words
        [ -e /sys/module/$name ] || insmod $file $options
    done </lab/modules/$1.list
}
find /run -mindepth 1 -delete 2>/dev/null || :
mkdir -p /run/qemu-server /run/lock
rmmod vfio_pci bochs snd_hda_intel
for each in $gpu $audio; do echo >$devices/$each/driver_override; done
# The host's drivers are asked for first, as udev may, and what modules-load.d names after them.
for module in bochs snd_hda_intel $(grep -v '^#' /etc/modules-load.d/*.conf); do by_the_files $module; done

expect_equal "loaded first" vfio_pci "$(first_loaded)"
expect_bound_to_vfio $gpu $audio
installer status
expect_file_says $lab_run/installer.said "VM 101  attached"
expect_file_lacks $lab_run/installer.said reboot
installer check --vm 101
! grep -qx "  host  host.reboot" $lab_run/installer.said || fail "check warns of a reboot after it"
expect_file_says $lab_run/installer.said host.reboot # among what is well
installer --vm 101 --yes
expect_file_says $lab_run/installer.said "Nothing to change"
expect_file_lacks $lab_run/installer.said "reboot: "
expect_equal "the end of an installation after the reboot" 0 $lab_installer
hook 101 pre-start
expect_exit 0
expect_bound_to_vfio $gpu $audio
expect_no_output reboot
