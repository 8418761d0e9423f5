# For scenarios with `# systemd: yes`: PID 1 becomes the systemd of a Debian host, whose disk is attached (tests/lab/tree), and what runs
# the scenario is a service of it. Sourced by init, which has loaded the modules. Nothing is ever written to the disk.
mkdir -p /disk /over /root-of-debian
for lab_module in virtio_pci virtio_blk ext4 overlay; do load_module "$lab_module"; done
wait_until 20 test -b /dev/vda && mount -t ext4 -o ro,noatime /dev/vda /disk || { echo "lab: there is no disk" && lab-finish failed; }
mount -t tmpfs over /over
mkdir -p /over/upper /over/work
mount -t overlay -o lowerdir=/disk,upperdir=/over/upper,workdir=/over/work overlay /root-of-debian
cd /root-of-debian

# The lab's programs and busybox's are found before Debian's by what the lab runs, and by nothing else.
mkdir -p lab/bin lab/sys lab/run
cp -a /lab/*.sh /lab/firmware.bin /lab/modules lab/
cp /bin/busybox /bin/lab-* lab/bin/
chroot . /lab/bin/busybox --install -s /lab/bin

# A host that was installed: nothing is set up at this boot. What systemd would wait for in vain, or does for others, is left out.
echo lab >etc/hostname
echo 0123456789abcdef0123456789abcdef >etc/machine-id
: >etc/fstab
printf '[Manager]\nShowStatus=no\nLogLevel=notice\n' >etc/systemd/system.conf
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\n' >etc/systemd/journald.conf
for lab_unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-tmpfiles-setup-dev-early systemd-sysctl systemd-sysusers \
    systemd-update-utmp systemd-random-seed systemd-machine-id-commit systemd-journal-flush systemd-modules-load systemd-remount-fs \
    systemd-binfmt systemd-journal-catalog-update systemd-update-done systemd-pcrphase systemd-pcrphase-sysinit systemd-tpm2-setup \
    systemd-tpm2-setup-early systemd-hibernate-clear systemd-firstboot systemd-boot-random-seed kmod-static-nodes ldconfig; do
    ln -sf /dev/null "etc/systemd/system/$lab_unit.service"
done
for lab_unit in proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-ask-password-console.path systemd-ask-password-wall.path \
    systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "etc/systemd/system/$lab_unit"
done
cat >etc/systemd/system/lab.target <<UNIT
[Unit]
Requires=basic.target
After=basic.target
Wants=lab.service
AllowIsolate=yes
UNIT
ln -sf lab.target etc/systemd/system/default.target
cat >etc/systemd/system/lab.service <<UNIT
[Unit]
After=basic.target systemd-journald.service
[Service]
Environment=PATH=/lab/bin:/usr/sbin:/usr/bin HOME=/root lab_first=$lab_first
ExecStart=/lab/bin/sh /lab/begin.sh
StandardInput=null
StandardOutput=file:/dev/console
StandardError=file:/dev/console
KillMode=process
UNIT

# Incus' unit asks for it, which is for containers; and Incus asks for modules that are loaded.
[ -e usr/sbin/modprobe ] || ln -s /bin/true usr/sbin/modprobe
printf '[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n' >etc/systemd/system/lxcfs.service

for lab_each in dev proc sys run lab/sys; do mount --move "/$lab_each" "$lab_each"; done
echo "lab: systemd begins after $(cut -d ' ' -f 1 proc/uptime) s"
# switch_root of busybox deletes what is in the initramfs, but for what is mounted: the disk and the overlay's files stay.
exec switch_root -c /dev/console /root-of-debian /sbin/init
