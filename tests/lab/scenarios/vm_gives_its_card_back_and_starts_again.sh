# With after_stop "native" GPU and audio are the host's again when QEMU has ended, reset once more, and the next start takes them again as
# clean. Without the hook they stay on vfio-pci, and dirty.
# machine: arc
# slots: acpiphp pciehp
# qemu: yes
# turn: 4
. /lab/vm.sh
vm_witness_at=0000:05:00.0
pve_host
settings <<'JSON'
{ "after_stop": "native" }
JSON
conf 101 <<CONF
$hook_line
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
for start in first second; do
    dirty 0000:05:00.0
    start_vm 101
    expect_handed_over 0x00000000
    expect_clean 0000:05:00.0
    dirty 0000:05:00.0
    vm_stop 101
    expect_clean 0000:05:00.0
    expect_driver 0000:03:00.0 bochs-drm
    wait_until 20 has_driver 0000:04:00.0 snd_hda_intel || fail "the audio function is not the host's again"
done
expect_host_as_before

sed -i '/^hookscript:/d' /etc/pve/qemu-server/101.conf
start_vm 101
dirty 0000:05:00.0
vm_stop 101
expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
expect_still_dirty 0000:05:00.0
