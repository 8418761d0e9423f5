# The high-availability manager starts a VM again when a start has failed: a refused one that nothing followed, and one that
# failed after the hook, when QEMU could not start. Each retry stands on its own, and in the end another VM can have the card.
# machine: arc
# slots: acpiphp pciehp
pve_host
for vmid in 101 102; do
    conf $vmid <<'CONF'
hostpci0: 0000:03:00.0
hostpci1: 0000:04:00.0
CONF
done
to_vfio 0000:03:00.0
hold_vfio 0000:03:00.0
for try in first second; do
    say "$try try, refused"
    dirty 0000:05:00.0
    hook 101 pre-start
    expect_exit 1
    expect_still_dirty 0000:05:00.0
done
release 0000:03:00.0

for try in third fourth; do
    say "$try try, QEMU fails after it"
    dirty 0000:05:00.0
    hook 101 pre-start
    expect_exit 0
    expect_clean 0000:05:00.0
    expect_bound_to_vfio 0000:03:00.0 0000:04:00.0
done
expect_equal "open journals" "" "$(ls /run/pve-gpu-hook/journal 2>/dev/null || :)"

# Relocated in the end: the start's task is gone, and with it the claim.
dirty 0000:05:00.0
hook 102 pre-start
expect_exit 0
expect_clean 0000:05:00.0
expect_host_as_before
